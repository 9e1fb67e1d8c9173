//! Pictures of graphs: what they show, and that nothing in a graph can break them.

pub(crate) mod simulated;

use std::fmt::Write as _;

use martlet_core::ToolSpec;
use martlet_core::graph::{
    AtMax, Condition, ForEach, GraphSpec, Join, MOST_DRAWN_NODES, MOST_MAPPED_NODES, NodeSpec, Repeat, When,
    Work, dot, dot_of, mermaid, mermaid_of, svg, text,
};
use proptest::prelude::*;
use simulated::{Story, agent, edge, edge_when, execute, graph, holds, node};

fn tool(name: &str, tool: &str) -> NodeSpec {
    NodeSpec::new(name, Work::Tool { spec: ToolSpec::new(tool, "") })
}

/// Every kind of node, edge and mark once.
fn letter() -> GraphSpec {
    let mut translate = agent("translate");
    let Condition::Expression(languages) = holds("languages") else { unreachable!() };
    translate.for_each = Some(ForEach::new(languages));
    let mut check = NodeSpec::new("check", Work::Graph);
    check.repeat = Some(Repeat { until: holds("score > 0.8"), max: 3, at_max: AtMax::Complete });
    let mut send = tool("send", "mail");
    send.join = Some(Join::Any);
    graph(
        "letter",
        vec![node("draft"), translate, check, node("shorten"), send],
        vec![
            edge("draft", "translate"),
            edge_when("draft", "check", When::Case(holds("draft.length > 100"))),
            edge_when("draft", "shorten", When::Otherwise),
            edge_when("translate", "send", When::If(Condition::Host)),
            edge("check", "send"),
            edge("shorten", "send"),
        ],
    )
}

fn letter_story() -> Story<'static> {
    Story {
        times: [("draft", 120), ("translate", 1_340), ("check", 700), ("send", 5)].into(),
        attempts: [("translate", 4)].into(),
        refused: ["draft shorten"].into(),
        ..Story::default()
    }
}

#[test]
fn a_graph_as_mermaid() {
    let graph = letter();
    insta::assert_snapshot!("mermaid", mermaid(&graph));
    insta::assert_snapshot!("mermaid_of", mermaid_of(&graph, &execute(&graph, &letter_story())));
}

#[test]
fn a_graph_as_dot() {
    let graph = letter();
    insta::assert_snapshot!("dot", dot(&graph));
    insta::assert_snapshot!("dot_of", dot_of(&graph, &execute(&graph, &letter_story())));
}

#[test]
fn a_graph_as_text() {
    let graph = letter();
    insta::assert_snapshot!("text", text(&graph, None));
    let story = Story { failing: ["check"].into(), ..letter_story() };
    insta::assert_snapshot!("text_of", text(&graph, Some(&execute(&graph, &story))));
}

/// The styles are left out: a colour is no behaviour.
#[test]
fn a_graph_as_svg() {
    let graph = letter();
    let picture = svg(&graph, Some(&execute(&graph, &letter_story())));
    let (begin, rest) = picture.split_once("<style>").unwrap();
    let (_, end) = rest.split_once("</style>").unwrap();
    insta::assert_snapshot!("svg", format!("{begin}{end}"));
    check_svg(&picture, graph.len());
}

fn hostile() -> GraphSpec {
    let names = [
        "end",
        "\"><script>",
        "a]b[c])",
        "`code`",
        "1. list",
        "- item",
        "#quot; & co; %%",
        "日本語 😀",
        "line break\\N",
        "\u{202e}turned",
        "__init__ my_name *x*",
        "]]>",
        "{{ x }} |y|",
    ];
    let edges = vec![
        edge_when("end", "`code`", When::If(holds("x | length > 3 and \"q\" in y[0]"))),
        edge_when("end", "]]>", When::Case(holds("x == '</text> --> n0'"))),
        edge("1. list", "- item"),
    ];
    graph("\"><script>alert(1)</script>", names.iter().map(|name| agent(name)).collect(), edges)
}

#[test]
fn names_cannot_act() {
    let graph = hostile();
    let result = execute(&graph, &Story::default());
    let mut all = String::new();
    for picture in [mermaid(&graph), dot(&graph), text(&graph, Some(&result))] {
        let _ = writeln!(all, "{picture}");
    }
    insta::assert_snapshot!("hostile", all);

    let picture = svg(&graph, Some(&result));
    check_svg(&picture, graph.len());
    let document = roxmltree::Document::parse(&picture).unwrap();
    let texts: Vec<_> = document.descendants().filter_map(|node| node.text()).collect();
    for name in ["\"><script>", "a]b[c])", "line break\\N", "\u{fffd}turned", "]]>"] {
        assert!(texts.contains(&name), "{name} is not shown as it is");
    }
}

#[test]
fn skipped_nodes_say_why() {
    let graph = letter();
    let picture = svg(&graph, Some(&execute(&graph, &letter_story())));
    assert!(
        picture.contains("shorten (function) — skipped: a condition after `draft` did not hold"),
        "{picture}"
    );
}

#[test]
fn edges_that_were_not_taken_are_told_from_others() {
    let graph = letter();
    let shown = text(&graph, Some(&execute(&graph, &letter_story())));
    let lines: Vec<_> = shown.lines().filter(|line| line.contains("not taken")).collect();
    assert_eq!(
        lines,
        ["  draft → shorten [conditional: otherwise] (not taken)", "  shorten → send (not taken)"]
    );
}

#[test]
fn large_graphs_are_shown_as_a_map() {
    let chain = |length: usize| {
        let names: Vec<_> = (0..length).map(|number| format!("n{number}")).collect();
        let edges = names.windows(2).map(|pair| edge(&pair[0], &pair[1])).collect();
        graph("chain", names.iter().map(|name| node(name)).collect(), edges)
    };
    let drawn = chain(MOST_DRAWN_NODES);
    check_svg(&svg(&drawn, None), drawn.len());
    let mapped = chain(MOST_DRAWN_NODES + 1);
    let picture = svg(&mapped, Some(&execute(&mapped, &Story::default())));
    assert!(picture.contains("too many to draw edges"), "{picture}");
    assert_eq!(
        picture.matches("<title>n").count(),
        mapped.len() + 40,
        "a square for each node, 40 rows of time"
    );
    let cut = svg(&chain(MOST_MAPPED_NODES + 1), None);
    assert!(cut.contains("the first 5000 are shown"), "{}", &cut[..500]);
    assert_eq!(cut.matches("<title>n").count(), MOST_MAPPED_NODES);
}

#[test]
fn descriptions_keep_to_their_line() {
    let mut one = node("one");
    one.description = "two\nlines, a bell\u{7} and \u{2028}]]>".into();
    let graph = graph("line\nbreak", vec![one], Vec::new());
    let picture = svg(&graph, None);
    check_svg(&picture, 1);
    assert!(picture.contains("two lines, a bell\u{fffd} and  ]]&gt;"), "{picture}");
    assert!(text(&graph, None).starts_with("graph: line break (1 node, 0 edges)\n"));
    assert_eq!(mermaid(&graph), "flowchart TD\n  n0[\"one<br/>function\"]\n");
}

#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// Checks that a picture is XML, that all rectangles and paths lie within it, and that no two nodes overlap.
fn check_svg(picture: &str, nodes: usize) {
    let document = roxmltree::Document::parse(picture).unwrap_or_else(|error| panic!("{error}:\n{picture}"));
    let root = document.root_element();
    let view: Vec<f64> = root.attribute("viewBox").unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    let whole = Area { left: 0.0, top: 0.0, right: view[2], bottom: view[3] };
    let mut boxes = Vec::new();
    for element in root.descendants().filter(roxmltree::Node::is_element) {
        let number = |name: &str| element.attribute(name).map_or(0.0, |value| value.parse::<f64>().unwrap());
        let (x, y) = shift_of(element);
        let class = element.attribute("class").unwrap_or_default();
        match element.tag_name().name() {
            "rect" => {
                let (left, top) = (x + number("x"), y + number("y"));
                let area = Area { left, top, right: left + number("width"), bottom: top + number("height") };
                assert!(inside(area, whole), "{area:?} is not within {whole:?}");
                if class.split(' ').next() == Some("box") {
                    boxes.push(area);
                }
            }
            "path" if class.starts_with("edge") || class.starts_with("tip") => {
                for (px, py) in points(element.attribute("d").unwrap()) {
                    let area = Area { left: x + px, top: y + py, right: x + px, bottom: y + py };
                    assert!(inside(area, whole), "{area:?} of an edge is not within {whole:?}");
                }
            }
            "text" => {
                let area = Area {
                    left: x + number("x"),
                    top: y + number("y"),
                    right: x + number("x"),
                    bottom: y + number("y"),
                };
                assert!(inside(area, whole), "{area:?} of a text is not within {whole:?}");
            }
            "script" | "image" | "foreignObject" => panic!("{} in a picture", element.tag_name().name()),
            _ => {}
        }
    }
    assert_eq!(boxes.len(), nodes);
    for (place, one) in boxes.iter().enumerate() {
        for other in &boxes[place + 1..] {
            let apart = one.right <= other.left
                || other.right <= one.left
                || one.bottom <= other.top
                || other.bottom <= one.top;
            assert!(apart, "{one:?} and {other:?} overlap");
        }
    }
}

fn inside(area: Area, whole: Area) -> bool {
    area.left >= whole.left
        && area.top >= whole.top
        && area.right <= whole.right
        && area.bottom <= whole.bottom
}

/// How far the groups around an element move it.
fn shift_of(element: roxmltree::Node<'_, '_>) -> (f64, f64) {
    element.ancestors().filter_map(|node| node.attribute("transform")).fold((0.0, 0.0), |(x, y), shift| {
        let inner = shift.strip_prefix("translate(").unwrap().strip_suffix(')').unwrap();
        let (dx, dy) = inner.split_once(' ').unwrap();
        (x + dx.parse::<f64>().unwrap(), y + dy.parse::<f64>().unwrap())
    })
}

/// The points of a path of absolute commands; of relative ones, which only short marks have, the first.
fn points(path: &str) -> Vec<(f64, f64)> {
    let absolute = path.split(['h', 'v', 'z']).next().unwrap_or_default();
    let numbers: Vec<f64> = absolute
        .split(|c: char| c.is_ascii_alphabetic() || c == ' ')
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap())
        .collect();
    numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Graphs of up to 40 nodes: names, edges that lead forward, some of them conditional, some refused, some failures.
fn random_graphs() -> impl Strategy<Value = (GraphSpec, Vec<bool>, Vec<u64>)> {
    let names = prop::collection::vec("\\PC{0,30}", 1..40);
    let edges = prop::collection::vec((any::<u16>(), any::<u16>(), 0_u8..8), 0..90);
    (names, edges, prop::collection::vec(any::<bool>(), 90), prop::collection::vec(0_u64..5_000, 40))
        .prop_map(|(names, edges, refused, times)| {
            let names: Vec<_> = (0..)
                .zip(names)
                .map(|(place, name): (usize, String)| format!("{place}:{name}").trim().to_owned())
                .collect();
            let mut specs = Vec::new();
            for (one, other, kind) in edges {
                let (one, other) = (usize::from(one) % names.len(), usize::from(other) % names.len());
                if one == other {
                    continue;
                }
                let when = match kind {
                    0 => When::If(holds("a > 1 and b in [1, 2, 3] or c == 'something long'")),
                    1 => When::If(Condition::Host),
                    2 => When::Case(holds("n")),
                    _ => When::Always,
                };
                specs.push(edge_when(&names[one.min(other)], &names[one.max(other)], when));
            }
            specs.sort_by(|one, other| (&one.from, &one.to).cmp(&(&other.from, &other.to)));
            specs.dedup_by(|one, other| one.from == other.from && one.to == other.to);
            let nodes = names.iter().map(|name| {
                let mut node = node(name);
                node.may_skip = true;
                node
            });
            (graph("random", nodes.collect(), specs), refused, times)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_has_pictures((graph, refused, times) in random_graphs()) {
        let conditional = graph.edges.iter().zip(&refused).filter(|(edge, refused)| edge.when != When::Always && **refused);
        let pairs: Vec<_> = conditional.map(|(edge, _)| format!("{} {}", edge.from, edge.to)).collect();
        let failing = graph.nodes.iter().zip(&times).filter(|(_, time)| **time % 13 == 0);
        let story = Story {
            times: graph.nodes.iter().map(|node| node.name.as_str()).zip(times.iter().copied()).collect(),
            refused: pairs.iter().map(String::as_str).collect(),
            failing: failing.map(|(node, _)| node.name.as_str()).collect(),
            ..Story::default()
        };
        let result = execute(&graph, &story);
        check_svg(&svg(&graph, None), graph.len());
        check_svg(&svg(&graph, Some(&result)), graph.len());
        // One line for each node and edge, whatever is in their names.
        prop_assert_eq!(mermaid(&graph).lines().count(), 1 + graph.len() + graph.edges.len());
        prop_assert_eq!(dot(&graph).lines().count(), 5 + graph.len() + graph.edges.len());
        prop_assert!(text(&graph, Some(&result)).lines().count() > graph.len() + graph.edges.len());
    }
}
