//! `kernel_hung`: how many tasks the kernel found hanging.

use super::collector::{CollectError, Collector};
use crate::event::metric::{Family, MetricKind};
use crate::host::{proc::HeldFile, roots::Roots};

/// Reads `/proc/sys/kernel/hung_task_detect_count`, which Linux has since 6.13.
pub struct KernelHung {
    file: HeldFile,
}

impl KernelHung {
    /// The collector for a host.
    pub fn new(roots: &Roots) -> Self {
        Self {
            file: HeldFile::of_short_lines(roots.procfs.join("sys/kernel/hung_task_detect_count")),
        }
    }
}

impl Collector for KernelHung {
    fn collect(&mut self, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let count = self.file.number().ok_or(CollectError::NoData)?;
        out.push(Family::single(
            "node_kernel_hung_tasks_total",
            MetricKind::Counter,
            "Tasks found hanging since the kernel started.",
            count as f64,
        ));
        Ok(())
    }
}
