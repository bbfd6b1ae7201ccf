//! The wires of the flow of `templates/` for Node-RED. It is run in `node_red/`.

use serde_json::Value;
use std::collections::BTreeSet;

fn flow() -> Vec<Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../templates/node-red-flow.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[test]
fn every_wire_of_the_flow_ends_at_a_node_and_every_output_has_wires() {
    let flow = flow();
    let ids: BTreeSet<_> = flow.iter().map(|node| node["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), flow.len(), "each id once");
    for node in &flow {
        let Some(outputs) = node["wires"].as_array() else { continue };
        for end in outputs.iter().flat_map(|output| output.as_array().unwrap()) {
            assert!(ids.contains(end.as_str().unwrap()), "{}: {end}", node["id"]);
        }
        if node["type"] == "function" {
            assert_eq!(node["outputs"], outputs.len(), "{}", node["id"]);
        }
    }
}
