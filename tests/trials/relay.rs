//! Speaks TLS before a receiver that does not, and cuts its connections when told to.

use rustls::ServerConfig;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// A relay; it ends with this value.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    certificate: String,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    count: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Relay {
    /// Leads to the server at `to`.
    pub(crate) fn to(to: SocketAddr) -> Self {
        let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = identity.signing_key.serialize_der().try_into().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let open: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let count = Arc::new(AtomicUsize::new(0));
        let (tasks, counted) = (Arc::clone(&open), Arc::clone(&count));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                let task = tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    counted.fetch_add(1, Ordering::SeqCst);
                    let mut inside = TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
                tasks.lock().unwrap().push(task.abort_handle());
            }
        });
        let certificate = identity.cert.pem();
        Self { address, certificate, open, count, _runtime: runtime }
    }

    /// Whom a client has to trust.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Ends all connections, without a word and wherever they are.
    pub(crate) fn cut(&self) {
        self.open.lock().unwrap().drain(..).for_each(|task| task.abort());
    }

    /// How many there were.
    pub(crate) fn connections(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}
