//! The values of graphs: expressions, templates, reducers, the state and its history.

use std::sync::Arc;

use martlet_core::graph::{
    Expression, Item, NodeInput, Reducer, Scope, Shared, State, StateError, StateLog, check_template, render,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A state with the entries of an object.
fn state(values: Value) -> State {
    log(values).snapshot()
}

fn log(values: Value) -> StateLog {
    let mut log = StateLog::default();
    for (key, value) in values.as_object().unwrap() {
        log.write(key, value.clone(), &Arc::from("input"), 7);
    }
    log
}

fn example() -> State {
    state(json!({
        "patterns": {"n": 4, "names": ["b", "a"], "deep": {"z": 1, "a": 2.0}},
        "text": "long",
        "big": u64::MAX,
        "small": i64::MIN,
        "half": 0.5,
        "nothing": null,
        "yes": true,
        "empty": [],
        "my-key": {"x": [1, 2]},
        "2nd-step": "second",
        "items": [{"id": 1, "ok": true}, {"id": 2, "ok": false}],
    }))
}

fn evaluate(source: &str) -> Result<Value, String> {
    let expression = Expression::new(source).map_err(|error| error.to_string())?;
    expression.evaluate(&example()).map_err(|error| error.to_string())
}

fn holds(source: &str) -> Result<bool, String> {
    Expression::new(source).unwrap().holds(&example()).map_err(|error| error.to_string())
}

#[test]
fn values_are_json_before_and_after() {
    for (source, expected) in [
        ("patterns", json!({"n": 4, "names": ["b", "a"], "deep": {"z": 1, "a": 2.0}})),
        ("patterns.deep", json!({"z": 1, "a": 2.0})),
        (" patterns.deep.a ", json!(2.0)),
        ("patterns.names[1]", json!("a")),
        ("patterns['deep']['z']", json!(1)),
        ("big", json!(u64::MAX)),
        ("[big, small, half, nothing, yes, empty]", json!([u64::MAX, i64::MIN, 0.5, null, true, []])),
        ("big - 1", json!(u64::MAX - 1)),
        ("patterns.n + 1", json!(5)),
        ("patterns.n * half", json!(2.0)),
        ("nothing", json!(null)),
        ("my-key", json!({"x": [1, 2]})),
        ("2nd-step", json!("second")),
        (
            "{'z': 1, 'a': [patterns.deep], 'm': text}",
            json!({"z": 1, "a": [{"z": 1, "a": 2.0}], "m": "long"}),
        ),
        ("items|selectattr('ok')|map(attribute='id')|list", json!([1])),
        ("items|map(attribute='id')|sum", json!(3)),
        ("patterns.names|sort", json!(["a", "b"])),
        ("patterns.names + [text]", json!(["b", "a", "long"])),
        ("patterns.names[:1]", json!(["b"])),
        ("text ~ '!'", json!("long!")),
        ("'a' ~ patterns.deep", json!("a{\"z\":1,\"a\":2.0}")),
        ("missing|default(3)", json!(3)),
        ("patterns.m|default('none')", json!("none")),
        ("1 if yes else 2", json!(1)),
    ] {
        let value = evaluate(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(value.to_string(), expected.to_string(), "{source}");
    }
}

#[test]
fn truth_is_pythons() {
    for source in
        ["patterns", "text", "big", "half", "yes", "my-key", "patterns.n > 3 and 'a' in patterns.names"]
    {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
    for source in ["nothing", "empty", "not yes", "''", "0", "0.0", "{}", "patterns.n == 3", "none", "false"]
    {
        assert_eq!(holds(source), Ok(false), "{source}");
    }
    assert_eq!(holds("missing is defined"), Ok(false));
    assert_eq!(holds("patterns.m is defined or yes"), Ok(true));
    assert_eq!(holds("patterns.n == 4.0"), Ok(true));
}

#[test]
fn what_is_not_defined_never_counts_as_false() {
    for source in [
        "missing",
        "patterns.m",
        "patterns.m > 3",
        "3 < patterns.m",
        "not patterns.m",
        "patterns.m == 1",
        "patterns.m != 1",
        "patterns.m and yes",
        "yes and patterns.m",
        "patterns.m or yes",
        "patterns.m in patterns.names",
        "'x' in patterns.m",
        "patterns.m.o",
        "text.n > 3",
        "nothing.n > 3",
        "items[7]",
        "items[7].id == 1",
        "1 if patterns.m else 2",
        "1 if not yes",
        "[patterns.m]",
        "{'a': patterns.m}",
        "patterns.m|length",
        "patterns.m ~ 'x'",
        "patterns.m + 1",
        "missing is even",
        "missing is none",
        "text is in missing",
        "1 is lt(missing)",
        "items|map(attribute='nope')|list",
    ] {
        let error = evaluate(source).expect_err(source);
        assert!(error.starts_with(&format!("`{source}`")), "{error}");
        if !source.starts_with(['[', '{']) && !source.contains("map(") {
            assert!(holds(source).is_err(), "{source}");
        }
    }
}

#[test]
fn errors_are_for_the_person_who_wrote_the_expression() {
    let mut said = String::new();
    for source in [
        "patterms",
        "patterns.nn > 3",
        "patterns.deep.b",
        "text.words",
        "items[7].id == 1",
        "not xyzzy",
        "3rd-step",
        "1 if not yes",
        "text|no_such_filter",
        "text + 1",
        "big * big",
        "1 / 0",
        "range",
        "[patterns.m]",
        "range(100000000)|sum",
        "patterns.n >",
        "a b",
        "patterns.n = 3",
        "",
    ] {
        said.push_str(&format!("{}\n", evaluate(source).expect_err(source)));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn work_is_limited() {
    let error = render(
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
        &State::new(),
    );
    assert!(error.unwrap_err().to_string().contains("it was stopped after 1000000 operations"));
    let error = render("{% set n = namespace() %}{% set n.self = n %}{{ n }}", &State::new()).unwrap_err();
    assert!(error.to_string().contains("nested more than 128 deep"), "{error}");
    assert!(evaluate("[0] * 99999999").unwrap_err().contains("more than 1000000 parts"));
}

#[test]
fn filters_refuse_what_is_not_defined() {
    let tolerant: Vec<&str> =
        FILTERS.into_iter().filter(|filter| evaluate(&format!("patterns.m|{filter}")).is_ok()).collect();
    assert_eq!(tolerant, Vec::<&str>::new());
}

const FILTERS: [&str; 43] = [
    "safe",
    "escape",
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace('a', 'b')",
    "length",
    "dictsort",
    "items",
    "reverse",
    "trim",
    "join",
    "split",
    "lines",
    "round",
    "abs",
    "int",
    "float",
    "attr('a')",
    "first",
    "last",
    "min",
    "max",
    "sort",
    "list",
    "string",
    "bool",
    "batch(2)",
    "slice(2)",
    "sum",
    "indent(2)",
    "select",
    "reject",
    "selectattr('a')",
    "rejectattr('a')",
    "map('upper')",
    "groupby('a')",
    "unique",
    "chain",
    "zip",
    "format",
    "tojson",
];

#[test]
fn an_expression_is_its_text() {
    let expression = Expression::new("patterns.n > 3").unwrap();
    let stored = serde_json::to_string(&expression).unwrap();
    assert_eq!(stored, r#""patterns.n > 3""#);
    let read: Expression = serde_json::from_str(&stored).unwrap();
    assert_eq!(read, expression);
    assert_eq!(read.holds(&example()), Ok(true));
    assert_eq!(format!("{read} {read:?}"), r#"patterns.n > 3 Expression("patterns.n > 3")"#);
    let error = serde_json::from_str::<Expression>(r#""a >""#).unwrap_err().to_string();
    assert!(error.contains("`a >` is not an expression"), "{error}");
}

/// A scope that refuses to copy: what can be shared must be.
struct NoCopies(State);

impl Scope for NoCopies {
    fn lookup(&self, name: &str) -> Option<Value> {
        panic!("{name} was copied")
    }

    fn share(&self, name: &str) -> Option<Shared> {
        self.0.share(name)
    }
}

#[test]
fn big_values_are_read_in_place() {
    let scope = NoCopies(example());
    assert_eq!(Expression::new("patterns.n > 3").unwrap().holds(&scope), Ok(true));
    assert_eq!(Expression::new("patterns.deep.z").unwrap().evaluate(&scope), Ok(json!(1)));
    assert_eq!(render("{{ patterns.names }} {{ text }}", &scope).unwrap(), r#"["b","a"] long"#);
}

#[test]
fn templates_print_texts_and_json() {
    let input = NodeInput {
        values: Some(json!({"words": 7, "note": "a <b>"}).as_object().unwrap().clone()),
        item: Some(Item {
            name: "city".into(),
            index: 1,
            value: Arc::new(json!({"name": "Rome", "big": true})),
        }),
        state: example(),
    };
    for (template, expected) in [
        ("plain", "plain"),
        ("{{ note }} & {{ words }}", "a <b> & 7"),
        ("{{ city }} {{ city.name }}", r#"{"name":"Rome","big":true} Rome"#),
        ("{{ patterns.deep }} {{ [nothing, yes, 1.0] }}", r#"{"z":1,"a":2.0} [null,true,1.0]"#),
        ("{% for i in items %}{{ loop.index }}:{{ i.id }} {% endfor %}", "1:1 2:2 "),
        ("{% if patterns.n > 3 %}many{% endif %}{{ 'x' if false }}", "many"),
        ("{{ missing|default('-') }}", "-"),
        ("{{ big }} {{ nothing }}", "18446744073709551615 null"),
    ] {
        assert_eq!(render(template, &input).unwrap(), expected, "{template}");
    }
    let mut said = String::new();
    for template in
        ["a\n{{ city.nme }}", "{{ wrds }}", "{% if %}", "a\nb {{ x", "{% include 'x' %}", "{{ 1 / 0 }}"]
    {
        said.push_str(&format!("{}\n", render(template, &input).unwrap_err()));
    }
    insta::assert_snapshot!(said);
    assert_eq!(check_template("{{ anything.at.all }}"), Ok(()));
    assert!(check_template("{% for %}").is_err());
}

#[test]
fn an_input_is_a_scope() {
    let input = NodeInput {
        values: Some(json!({"text": "mapped"}).as_object().unwrap().clone()),
        item: Some(Item { name: "city".into(), index: 0, value: Arc::new(json!("Rome")) }),
        state: example(),
    };
    for (source, expected) in [("text", json!("mapped")), ("city", json!("Rome")), ("half", json!(0.5))] {
        let expression = Expression::new(source).unwrap();
        assert_eq!(expression.evaluate(&input), Ok(expected.clone()));
        assert_eq!(input.lookup(source), Some(expected));
    }
    let error = Expression::new("cty").unwrap().evaluate(&input).unwrap_err().to_string();
    assert!(error.contains("did you mean `city`"), "{error}");
    let read: NodeInput = serde_json::from_value(serde_json::to_value(&input).unwrap()).unwrap();
    assert_eq!(read, input);
}

fn longer() -> Reducer {
    Reducer::Expression(Expression::new("new if new|length > old|length else old").unwrap())
}

#[test]
fn reducers_join_values() {
    use Reducer::{Append, Merge, Replace, Sum};
    for (reducer, old, new, expected) in [
        (Replace, Some(json!(1)), json!("x"), json!("x")),
        (Append, None, json!(1), json!([1])),
        (Append, None, json!([1, 2]), json!([1, 2])),
        (Append, Some(json!([1])), json!([2, [3]]), json!([1, 2, [3]])),
        (Append, Some(json!([1])), json!(null), json!([1, null])),
        (Merge, None, json!({"a": 1}), json!({"a": 1})),
        (
            Merge,
            Some(json!({"z": {"x": 1, "y": {"p": 1}}, "k": [1], "a": 1})),
            json!({"z": {"y": {"q": 2}, "x": null}, "k": [2], "b": {"c": 1}}),
            json!({"z": {"x": null, "y": {"p": 1, "q": 2}}, "k": [2], "a": 1, "b": {"c": 1}}),
        ),
        (Sum, None, json!(3), json!(3)),
        (Sum, Some(json!(3)), json!(4), json!(7)),
        (Sum, Some(json!(3)), json!(0.5), json!(3.5)),
        (Sum, Some(json!(u64::MAX)), json!(-1), json!(u64::MAX - 1)),
        (Sum, Some(json!(i64::MAX)), json!(1), json!(9_223_372_036_854_775_808_u64)),
        (longer(), None, json!("a"), json!("a")),
        (longer(), Some(json!("abc")), json!("a"), json!("abc")),
    ] {
        let reduced = reducer.reduce(old.as_ref(), new);
        assert_eq!(reduced.map(|value| value.to_string()), Ok(expected.to_string()), "{reducer:?}");
    }
    let mut said = String::new();
    for (reducer, old, new) in [
        (Append, Some(json!("x")), json!(1)),
        (Merge, Some(json!([])), json!({})),
        (Merge, None, json!("x")),
        (Sum, Some(json!("1")), json!(1)),
        (Sum, Some(json!(1)), json!(null)),
        (Sum, Some(json!(u64::MAX)), json!(1)),
        (Sum, Some(json!(f64::MAX)), json!(f64::MAX)),
        (longer(), Some(json!(1)), json!("a")),
    ] {
        said.push_str(&format!("{}\n", reducer.reduce(old.as_ref(), new).unwrap_err()));
    }
    insta::assert_snapshot!(said);
    for reducer in [Replace, Append, Merge, Sum, longer()] {
        let stored = serde_json::to_value(&reducer).unwrap();
        assert_eq!(serde_json::from_value::<Reducer>(stored).unwrap(), reducer);
    }
}

#[test]
fn a_rollback_is_written_and_not_erased() {
    let mut log = log(json!({"a": 1, "b": 2}));
    let before = log.snapshot();
    let node: Arc<str> = "node".into();
    log.write("a", json!(3), &node, 10);
    log.write("c", json!(4), &node, 11);
    assert!(log.remove("b", &node, 12));
    assert!(!log.remove("b", &node, 12));
    assert_eq!(before.to_object(), json!({"a": 1, "b": 2}).as_object().unwrap().clone());
    assert_eq!(log.at(2), Ok(before.clone()));

    log.rollback(2, &"person".into(), 20).unwrap();
    assert_eq!(log.current().to_object(), before.to_object());
    log.write("c", json!(5), &node, 30);
    insta::assert_snapshot!(serde_json::to_string_pretty(&log.to_json()).unwrap());
    assert_eq!(log.history_of("b").map(|write| write.entry.version).collect::<Vec<_>>(), [2, 5, 7]);
    let unchanged = log.clone();
    let error = log.rollback(11, &node, 40).unwrap_err();
    assert_eq!(error.to_string(), "the state has no version 11: give one from 0 to 9");
    assert_eq!(log, unchanged);
    log.rollback(0, &node, 50).unwrap();
    assert!(log.current().is_empty());
}

#[test]
fn what_is_damaged_or_newer_is_refused() {
    let good = log(json!({"a": 1, "b": [2]})).to_json();
    let damage = |pointer: &str, value: Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        StateLog::from_json(&bad).unwrap_err()
    };
    assert_eq!(damage("/format", json!(2)), StateError::Newer { format: 2 });
    let mut said = String::new();
    for error in [
        damage("/format", json!(2)),
        damage("/format", json!("1")),
        damage("/writes", json!(null)),
        damage("/writes/1/version", json!(1)),
        damage("/writes/1/timestamp", json!("now")),
        damage(
            "/writes/0",
            json!({"key": "a", "value": null, "source": "x", "timestamp": 1, "version": 1, "removed": true}),
        ),
        damage(
            "/writes/0",
            json!({"key": "a", "value": 1, "source": "x", "timestamp": 1, "version": 1, "removed": true}),
        ),
        damage(
            "/writes/0",
            json!({"key": "a", "value": 1, "source": "x", "timestamp": 1, "version": 1, "rollback": 1}),
        ),
        StateLog::from_json(&json!({"a": 1})).unwrap_err(),
    ] {
        said.push_str(&format!("{error}\n"));
    }
    insta::assert_snapshot!(said);
    let error =
        serde_json::from_str::<StateLog>(r#"[{"key":"a","value":1,"source":"x","timestamp":1,"version":2}]"#);
    assert!(error.unwrap_err().to_string().contains("writes are missing"));
}

#[derive(Debug, Clone)]
enum Change {
    Write(u8, Value),
    Remove(u8),
    Rollback(prop::sample::Index),
    Export,
    Store,
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Halves are exact in any form.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 2.0)),
        "[a-c ü\"]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-d]{1,2}", inner), 0..3)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (0..5_u8, json_value()).prop_map(|(key, value)| Change::Write(key, value)),
        2 => (0..5_u8).prop_map(Change::Remove),
        1 => any::<prop::sample::Index>().prop_map(Change::Rollback),
        1 => Just(Change::Export),
        1 => Just(Change::Store),
    ]
}

type Model = Vec<(String, Value)>;

fn set(model: &mut Model, key: &str, value: Option<Value>) {
    model.retain(|(name, _)| name != key);
    model.extend(value.map(|value| (key.to_owned(), value)));
    model.sort_by(|a, b| a.0.cmp(&b.0));
}

proptest! {
    #[test]
    fn a_log_agrees_with_a_list_of_states(changes in prop::collection::vec(change(), 0..40)) {
        let mut log = StateLog::default();
        // The model: the whole state after each write, by version.
        let mut states: Vec<Model> = vec![Vec::new()];
        for (at, change) in (0_u64..).zip(changes) {
            let mut now = states.last().unwrap().clone();
            let snapshot = log.snapshot();
            let kept = snapshot.clone().to_object();
            match change {
                Change::Write(key, value) => {
                    let key = format!("k{key}");
                    log.write(&key, value.clone(), &"n".into(), at);
                    set(&mut now, &key, Some(value));
                    states.push(now);
                }
                Change::Remove(key) => {
                    let key = format!("k{key}");
                    let there = now.iter().any(|(name, _)| *name == key);
                    prop_assert_eq!(log.remove(&key, &"n".into(), at), there);
                    if there {
                        set(&mut now, &key, None);
                        states.push(now);
                    }
                }
                Change::Rollback(index) => {
                    let version = index.index(states.len());
                    let target = states[version].clone();
                    log.rollback(version as u64, &"n".into(), at).unwrap();
                    let steps = log.version() as usize + 1 - states.len();
                    let new: Vec<_> = log.history().skip(states.len() - 1).cloned().collect();
                    prop_assert_eq!(new.len(), steps);
                    for write in new {
                        prop_assert_eq!(write.rollback, Some(version as u64));
                        set(&mut now, &write.key, (!write.removed).then(|| write.entry.value.clone()));
                        states.push(now.clone());
                    }
                    prop_assert_eq!(&now, &target);
                }
                Change::Export => log = StateLog::from_json(&log.to_json()).unwrap(),
                Change::Store => {
                    let read: StateLog = serde_json::from_str(&serde_json::to_string(&log).unwrap()).unwrap();
                    prop_assert_eq!(&read, &log);
                    let current: State = serde_json::from_str(&serde_json::to_string(log.current()).unwrap()).unwrap();
                    prop_assert_eq!(&current, log.current());
                    log = read;
                }
            }
            prop_assert_eq!(snapshot.to_object(), kept);
        }
        prop_assert_eq!(log.version() as usize, states.len() - 1);
        for (version, state) in (0_u64..).zip(&states) {
            let then: Model = log.at(version).unwrap().to_object().into_iter().collect();
            prop_assert_eq!(&then, state);
        }
        prop_assert_eq!(&log.at(log.version()).unwrap(), log.current());
        for (number, write) in (1_u64..).zip(log.history()) {
            prop_assert_eq!(write.entry.version, number);
        }
    }

    #[test]
    fn values_come_back_as_they_went_in(value in json_value()) {
        let scope = state(json!({ "x": value }));
        for source in ["x", "(x)", "[x][0]", "{'a': x}.a", "x if true else 1"] {
            let back = Expression::new(source).unwrap().evaluate(&scope).unwrap();
            prop_assert_eq!(back.to_string(), value.to_string(), "{}", source);
        }
        let truth = Expression::new("x").unwrap().holds(&scope).unwrap();
        prop_assert_eq!(Expression::new("(x)").unwrap().holds(&scope).unwrap(), truth);
    }

    #[test]
    fn no_text_makes_an_expression_panic(source in "[a-c0-9.\\[\\](){}|+*<>=!~'% ,:-]{0,24}") {
        if let Ok(expression) = Expression::new(source.as_str()) {
            let _ = expression.evaluate(&state(json!({"a": {"b": [1, 2.5, "x"]}, "b": "text", "c": 3})));
        }
    }
}
