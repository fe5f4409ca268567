//! Whether a graph is one: every value is made once, before it is used.
//!
//! Source: ONNX intermediate representation specification, "Graphs" and "Names within a graph".

use std::collections::{BTreeSet, HashSet};

use super::proto::{Attribute, Function, Graph, Model, Node};
use super::{FINDINGS_MAX, Finding};

const EXPORT_AGAIN: &str = "export the model again, and check it with onnx.checker";

/// The names known at a place: those of the graph, then those of the graphs around it.
struct Scope<'s, 'g> {
    names: HashSet<&'g str>,
    around: Option<&'s Scope<'s, 'g>>,
}

impl<'g> Scope<'_, 'g> {
    fn knows(&self, name: &str) -> bool {
        self.names.contains(name) || self.around.is_some_and(|around| around.knows(name))
    }

    /// Makes a name known; false where this graph made it before.
    fn make(&mut self, name: &'g str) -> bool {
        self.names.insert(name)
    }
}

/// What a check looks at and where it tells.
struct Checker<'g, 'd> {
    domains: BTreeSet<&'g str>,
    defects: &'d mut Vec<Finding>,
}

/// Tells what is wrong with the main graph, the graphs within, and the model's functions.
pub(super) fn check(model: &Model, graph: &Graph, defects: &mut Vec<Finding>) {
    let sets = model.opset_import.iter().map(|set| one_name(&set.domain));
    let functions = model.functions.iter().map(|function| one_name(&function.domain));
    let mut checker = Checker { domains: sets.chain(functions).collect(), defects };
    if model.opset_import.is_empty() {
        checker.tell("the model".to_owned(), "it names no operator set".to_owned(), EXPORT_AGAIN);
    }
    if graph.output.is_empty() {
        let cure = "declare at least one output when exporting";
        checker.tell("the graph".to_owned(), "it has no output".to_owned(), cure);
    }
    checker.graph(graph, None);
    for function in &model.functions {
        checker.function(function);
    }
}

/// The ONNX operators have two names.
fn one_name(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

impl<'g> Checker<'g, '_> {
    fn tell(&mut self, subject: String, problem: String, cure: &'static str) {
        if self.defects.len() < FINDINGS_MAX {
            self.defects.push(Finding { fatal: true, subject, problem, cure });
        }
    }

    fn graph<'s>(&mut self, graph: &'g Graph, around: Option<&'s Scope<'s, 'g>>) {
        let mut scope = Scope { names: HashSet::new(), around };
        for input in &graph.input {
            if !scope.make(&input.name) {
                self.tell_twice("input", &input.name);
            }
        }
        let mut initializers = HashSet::new();
        for tensor in graph.initializers() {
            if !initializers.insert(tensor.name.as_str()) {
                self.tell_twice("initialiser", &tensor.name);
            }
            self.check_weights(tensor);
            // An initialiser may also be an input: then it is the input's default.
            scope.make(&tensor.name);
        }
        self.nodes(&graph.node, &mut scope);
        let mut outputs = HashSet::new();
        for output in &graph.output {
            if !outputs.insert(output.name.as_str()) {
                self.tell_twice("output", &output.name);
            }
            if !scope.knows(&output.name) {
                let subject = format!("output {:?}", output.name);
                self.tell(subject, "nothing makes it".to_owned(), EXPORT_AGAIN);
            }
        }
    }

    fn function(&mut self, function: &'g Function) {
        let mut scope = Scope { names: HashSet::new(), around: None };
        for input in &function.input {
            if !scope.make(input) {
                self.tell_twice("function input", input);
            }
        }
        self.nodes(&function.node, &mut scope);
        for output in &function.output {
            if !scope.knows(output) {
                let subject = format!("output {output:?} of function {:?}", function.name);
                self.tell(subject, "nothing makes it".to_owned(), EXPORT_AGAIN);
            }
        }
    }

    fn nodes(&mut self, nodes: &'g [Node], scope: &mut Scope<'_, 'g>) {
        for (index, node) in nodes.iter().enumerate() {
            if self.defects.len() >= FINDINGS_MAX {
                return;
            }
            if node.op_type.is_empty() {
                self.tell(called(index, node), "it has no operator".to_owned(), EXPORT_AGAIN);
            }
            if !self.domains.contains(one_name(&node.domain)) {
                let problem = format!("the operator set {:?} is not imported", node.domain);
                self.tell(called(index, node), problem, EXPORT_AGAIN);
            }
            // An empty name stands for an optional value that is left out.
            for input in node.input.iter().filter(|input| !input.is_empty()) {
                if !scope.knows(input) {
                    let problem = format!("nothing before it makes its input {input:?}");
                    self.tell(called(index, node), problem, EXPORT_AGAIN);
                }
            }
            for graph in node.attribute.iter().flat_map(Attribute::graphs) {
                self.graph(graph, Some(scope));
            }
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                if !scope.make(output) {
                    let problem = format!("its output {output:?} is made before, by another");
                    self.tell(called(index, node), problem, EXPORT_AGAIN);
                }
            }
        }
    }

    fn check_weights(&mut self, tensor: &super::proto::Tensor) {
        let subject = || format!("initialiser {:?}", tensor.name);
        if tensor.dims.iter().any(|&size| size < 0) {
            self.tell(subject(), "a dimension is below zero".to_owned(), EXPORT_AGAIN);
            return;
        }
        let element_bytes =
            super::datatype_of(tensor.data_type).and_then(types::Datatype::element_bytes);
        let (Some(element_bytes), false) = (element_bytes, tensor.raw_data.is_empty()) else {
            return;
        };
        let wanted = tensor.elements().saturating_mul(element_bytes as u64);
        if wanted != tensor.raw_data.len() as u64 && !tensor.is_external() {
            let have = tensor.raw_data.len();
            let problem = format!("it has {have} bytes, but its shape needs {wanted}");
            self.tell(subject(), problem, EXPORT_AGAIN);
        }
    }

    fn tell_twice(&mut self, role: &str, name: &str) {
        self.tell(format!("{role} {name:?}"), "it is there twice".to_owned(), EXPORT_AGAIN);
    }
}

fn called(index: usize, node: &Node) -> String {
    if node.name.is_empty() {
        format!("node {index} ({})", node.op_type)
    } else {
        format!("node {:?} ({})", node.name, node.op_type)
    }
}
