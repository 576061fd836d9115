//! `driftless graph`: the topology that a config stands for.

use super::Exit;
use super::elsewhere;
use super::session::Session;
use super::shell::{Output, Shell};
use crate::topology::graph::{Component, DEAD_LETTER, Graph};
use clap::ValueEnum;
use std::fmt::Write;
use std::path::PathBuf;

/// Show the topology that a config stands for, after lowering.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  driftless graph .\n  driftless graph . --format dot | dot -Tsvg"
)]
pub struct Args {
    /// Directories or files; the installed config where none is given.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    elsewhere: elsewhere::Options,
    /// How it is drawn.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    /// One line a component.
    #[default]
    Text,
    /// For pages that draw Mermaid.
    Mermaid,
    /// For Graphviz.
    Dot,
}

pub(super) fn run(args: &Args, shell: &mut Shell) -> Exit {
    let elsewhere = match args.elsewhere.meant() {
        Ok(elsewhere) => elsewhere,
        Err(complaint) => return shell.complain(&[complaint], Output::Text),
    };
    let session = Session::new(&args.paths).on(elsewhere);
    match session.load_or_complain(shell, Output::Text) {
        Ok(mut config) => {
            config.notes.extend(session.note_facts());
            shell.note(&config.notes, Output::Text);
            shell.print(&draw(&config.graph, args.format))
        }
        Err(exit) => exit,
    }
}

fn draw(graph: &Graph, format: Format) -> String {
    // Writing to a string cannot fail, so `ok` says all there is to say.
    let mut out = String::new();
    match format {
        Format::Text => {
            for (name, node) in &graph.nodes {
                let inputs = node.inputs.iter().map(|(input, _)| input.to_string());
                let letters = dead_letters_to(graph, name);
                let letters = letters.map(|(from, _)| format!("{from}.{DEAD_LETTER}"));
                let inputs: Vec<String> = inputs.chain(letters).collect();
                let from = match inputs.as_slice() {
                    [] => String::new(),
                    inputs => format!("  ← {}", inputs.join(", ")),
                };
                writeln!(out, "{:9} {name} ({}){from}", node.role(), node.type_name).ok();
            }
        }
        Format::Mermaid => {
            writeln!(out, "flowchart LR").ok();
            for (at, (name, node)) in graph.nodes.iter().enumerate() {
                let (open, close) = match node.component {
                    Component::Source(_) => ("([", "])"),
                    Component::Transform(_) => ("[", "]"),
                    Component::Sink(_) => ("[[", "]]"),
                };
                writeln!(out, "  n{at}{open}\"{name}<br/>{}\"{close}", node.type_name).ok();
            }
            for (from, to, label) in edges(graph) {
                let label = if label.is_empty() { String::new() } else { format!("|{label}|") };
                writeln!(out, "  n{from} -->{label} n{to}").ok();
            }
        }
        Format::Dot => {
            writeln!(out, "digraph driftless {{\n  rankdir=LR;").ok();
            for (at, (name, node)) in graph.nodes.iter().enumerate() {
                let shape = match node.component {
                    Component::Source(_) => "oval",
                    Component::Transform(_) => "box",
                    Component::Sink(_) => "box3d",
                };
                let type_name = &node.type_name;
                writeln!(out, "  n{at} [shape={shape}, label=\"{name}\\n{type_name}\"];").ok();
            }
            for (from, to, label) in edges(graph) {
                writeln!(out, "  n{from} -> n{to} [label=\"{label}\"];").ok();
            }
            out.push_str("}\n");
        }
    }
    out
}

/// Names and places of the sinks that give their dead letters to this one.
fn dead_letters_to<'g>(
    graph: &'g Graph,
    to: &'g str,
) -> impl Iterator<Item = (&'g str, usize)> + 'g {
    let nodes = graph.nodes.iter().enumerate();
    nodes
        .filter(move |(_, (_, node))| node.dead_letter() == Some(to))
        .map(|(at, (name, _))| (&**name, at))
}

/// Numbers of the components at both ends, and the name of the output between them.
fn edges(graph: &Graph) -> Vec<(usize, usize, String)> {
    let mut edges = Vec::new();
    for (to, (name, node)) in graph.nodes.iter().enumerate() {
        let letters = dead_letters_to(graph, name);
        edges.extend(letters.map(|(_, from)| (from, to, DEAD_LETTER.to_owned())));
        for (input, _) in &node.inputs {
            let (name, output) = match graph.nodes.get_index_of(input) {
                Some(at) => (Some(at), ""),
                None => match input.rsplit_once('.') {
                    Some((name, output)) => (graph.nodes.get_index_of(name), output),
                    None => (None, ""),
                },
            };
            edges.extend(name.map(|from| (from, to, output.to_owned())));
        }
    }
    edges
}
