//! Approval policies: which calls they ask about, allow and refuse.

use martlet_core::{
    AgentSettings, AgentSpec, ApprovalPolicy, ApprovalRule, Risk, ToolFlags, ToolPattern, ToolSpec, Verdict,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn tool(name: &str, flags: ToolFlags) -> ToolSpec {
    ToolSpec::new(name, "Does something.").flags(flags)
}

fn plain(name: &str) -> ToolSpec {
    tool(name, ToolFlags::default())
}

fn policy(rules: &Value) -> ApprovalPolicy {
    serde_json::from_value(json!({ "rules": rules })).unwrap()
}

fn verdict(policy: &ApprovalPolicy, spec: &ToolSpec, arguments: Value) -> Verdict {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    policy.ruling(spec, &arguments).verdict
}

#[test]
fn patterns_fit_names() {
    let rows = [
        ("send", "send", true),
        ("send", "sender", false),
        ("send", "resend", false),
        ("*", "anything", true),
        ("send*", "send", true),
        ("send*", "send_mail", true),
        ("*mail", "send_mail", true),
        ("*mail", "mails", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "axxbxxc", true),
        ("a*b*c", "axxcxxb", false),
        ("ab*ba", "aba", false),
        ("a**b", "ab", true),
        ("*a*", "bbb", false),
        ("*ab*ab", "ab", false),
        ("*ab*ab", "abab", true),
    ];
    for (pattern, name, fits) in rows {
        assert_eq!(ToolPattern::new(pattern).unwrap().matches(name), fits, "{pattern} {name}");
    }
    for wrong in ["", "send mail", "send-mail", "send?", "[a]", "größe"] {
        let error = ToolPattern::new(wrong).unwrap_err().to_string();
        assert!(error.contains("fits no tool: write a tool's name"), "{error}");
    }
}

#[test]
fn the_risk_of_a_tool_follows_from_its_flags() {
    let flags = |read_only, idempotent| ToolFlags { read_only, idempotent, needs_approval: false };
    assert_eq!(flags(true, false).risk(), Risk::ReadOnly);
    assert_eq!(flags(true, true).risk(), Risk::ReadOnly);
    assert_eq!(flags(false, true).risk(), Risk::Repeatable);
    assert_eq!(flags(false, false).risk(), Risk::Unsafe);
    assert!(Risk::ReadOnly < Risk::Repeatable && Risk::Repeatable < Risk::Unsafe);
}

#[test]
fn rules_decide_as_the_table_says() {
    use Verdict::{Allow, Ask, Deny};
    let rules = policy(&json!([
        {"tool": "drop_*", "then": "deny", "reason": "nothing is deleted"},
        {"risk": "read_only", "then": "allow"},
        {"tool": "pay", "when": "arguments.amount > 50", "then": "ask"},
        {"tool": "pay", "then": "allow"},
        {"when": "risk == 'repeatable' and tool in ['put', 'set']", "then": "allow"},
        {"risk": "repeatable", "then": "ask"},
    ]));
    let guarded = ToolFlags { needs_approval: true, ..ToolFlags::default() };
    let reading = ToolFlags { read_only: true, needs_approval: true, ..ToolFlags::default() };
    let repeatable = ToolFlags { idempotent: true, ..ToolFlags::default() };
    let rows = [
        (plain("drop_table"), json!({}), Deny),
        (tool("drop_table", reading), json!({}), Deny),
        (tool("look", reading), json!({}), Allow),
        (plain("pay"), json!({"amount": 51}), Ask),
        (plain("pay"), json!({"amount": 50}), Allow),
        (tool("pay", guarded), json!({"amount": 50}), Allow),
        // What a rule cannot read, a person reads.
        (plain("pay"), json!({}), Ask),
        (plain("pay"), json!({"amount": "much"}), Ask),
        (tool("put", repeatable), json!({}), Allow),
        (tool("post", repeatable), json!({}), Ask),
        // No rule is about it: the tool's own flag decides.
        (plain("send"), json!({}), Allow),
        (tool("send", guarded), json!({}), Ask),
    ];
    for (spec, arguments, expected) in rows {
        assert_eq!(verdict(&rules, &spec, arguments.clone()), expected, "{} {arguments}", spec.name);
    }
    assert_eq!(rules.ruling(&plain("drop_table"), &Map::new()).reason.as_deref(), Some("nothing is deleted"));
}

#[test]
fn an_expression_that_fails_asks_even_where_the_rule_would_allow_or_refuse() {
    for then in ["allow", "ask", "deny"] {
        for when in ["arguments.missing", "missing > 3", "arguments.n.m", "range(10000000)|length > 1"] {
            let rules = policy(&json!([{"when": when, "then": then}]));
            assert_eq!(verdict(&rules, &plain("x"), json!({"n": 1})), Verdict::Ask, "{when} {then}");
        }
    }
}

#[test]
fn the_rules_of_those_above_only_make_it_stricter() {
    use Verdict::{Allow, Ask, Deny};
    let say = |then: Verdict| ApprovalPolicy::new([ApprovalRule::new(then)]);
    for (own, outer, expected) in [
        (Allow, Allow, Allow),
        (Allow, Ask, Ask),
        (Allow, Deny, Deny),
        (Ask, Allow, Ask),
        (Ask, Ask, Ask),
        (Ask, Deny, Deny),
        (Deny, Allow, Deny),
        (Deny, Ask, Deny),
    ] {
        let policy = say(own).within(&say(outer));
        assert_eq!(verdict(&policy, &plain("x"), json!({})), expected, "{own:?} within {outer:?}");
        let deeper = policy.within(&say(Allow).within(&say(Ask)));
        let expected = if expected == Allow { Ask } else { expected };
        assert_eq!(verdict(&deeper, &plain("x"), json!({})), expected, "{own:?} within {outer:?} and more");
    }
    // What no outer rule is about is left to the own rules and flags; an outer allowance does not weaken them.
    let guarded = tool("x", ToolFlags { needs_approval: true, ..ToolFlags::default() });
    let none = ApprovalPolicy::default();
    assert_eq!(verdict(&none.clone().within(&say(Allow)), &guarded, json!({})), Ask);
    let about_others = ApprovalPolicy::new([ApprovalRule::deny().tool("y".parse().unwrap())]);
    assert_eq!(verdict(&none.clone().within(&about_others), &guarded, json!({})), Ask);
    assert!(none.clone().within(&none).is_empty());
    let twice = say(Ask).within(&say(Ask)).within(&say(Deny)).within(&say(Deny));
    assert_eq!(twice.outer.len(), 1, "the same rules are kept once");
}

#[test]
fn a_rule_that_nobody_would_hear_of_is_refused() {
    let settings = |rule: ApprovalRule| AgentSettings {
        approvals: ApprovalPolicy::new([ApprovalRule::ask(), rule]),
        ..AgentSettings::default()
    };
    let error = |rule| AgentSpec::new(settings(rule)).unwrap_err().to_string();
    assert_eq!(
        error(ApprovalRule::allow().reason("it is fine")),
        "approval rule 2 cannot be used: it allows, so nobody is told its `reason`: remove it"
    );
    assert_eq!(
        error(ApprovalRule::deny().reason(" ")),
        "approval rule 2 cannot be used: its `reason` is empty: write one, or remove it"
    );
    let graph = martlet_core::graph::GraphSettings {
        nodes: vec![martlet_core::graph::NodeSpec::new("a", martlet_core::graph::Work::Function)],
        approvals: ApprovalPolicy::new([ApprovalRule::deny().reason("")]),
        ..Default::default()
    };
    let error = martlet_core::GraphSpec::new(graph).unwrap_err().to_string();
    assert!(error.starts_with("approval rule 1 cannot be used"), "{error}");
}

#[test]
fn unknown_words_in_a_rule_are_refused() {
    for wrong in [
        json!({"then": "maybe"}),
        json!({"risk": "high", "then": "ask"}),
        json!({"tools": "x", "then": "ask"}),
        json!({"tool": "a b", "then": "ask"}),
        json!({"when": "1 +", "then": "ask"}),
        json!({"tool": "x"}),
    ] {
        assert!(serde_json::from_value::<ApprovalRule>(wrong.clone()).is_err(), "{wrong}");
    }
}

fn rule() -> impl proptest::strategy::Strategy<Value = ApprovalRule> {
    let pattern = prop_oneof![Just(None), Just(Some("a*")), Just(Some("b")), Just(Some("*"))];
    let risk = prop_oneof![
        3 => Just(None), 1 => Just(Some(Risk::ReadOnly)), 1 => Just(Some(Risk::Repeatable)),
        1 => Just(Some(Risk::Unsafe))
    ];
    let when = prop_oneof![
        2 => Just(None), 1 => Just(Some("arguments.n > 2")), 1 => Just(Some("arguments.n < 2"))
    ];
    let then = prop_oneof![Just(Verdict::Ask), Just(Verdict::Allow), Just(Verdict::Deny)];
    (pattern, risk, when, then).prop_map(|(tool, risk, when, then)| {
        let mut rule = ApprovalRule::new(then);
        rule.tool = tool.map(|tool| tool.parse().unwrap());
        rule.risk = risk;
        rule.when = when.map(|when| when.parse().unwrap());
        rule
    })
}

proptest! {
    #[test]
    fn the_first_rule_that_matches_decides(
        rules in proptest::collection::vec(rule(), 0..6),
        name in prop_oneof![Just("a"), Just("ab"), Just("b"), Just("c")],
        read_only: bool,
        idempotent: bool,
        needs_approval: bool,
        n in proptest::option::of(0..5),
    ) {
        let spec = tool(name, ToolFlags { read_only, idempotent, needs_approval });
        let arguments: Map<String, Value> = n.map(|n| ("n".to_owned(), json!(n))).into_iter().collect();
        // What the documentation says, rule by rule.
        let expected = rules.iter().find_map(|rule| {
            let named = match rule.tool.as_ref().map(ToolPattern::as_str) {
                None | Some("*") => true,
                Some("a*") => name.starts_with('a'),
                Some(exact) => exact == name,
            };
            let risky = rule.risk.is_none_or(|risk| risk == spec.flags.risk());
            let holds = match (rule.when.as_ref().map(|when| when.as_str()), n) {
                (None, _) => Some(true),
                (Some(_), None) => None,
                (Some("arguments.n > 2"), Some(n)) => Some(n > 2),
                (Some(_), Some(n)) => Some(n < 2),
            };
            match (named && risky, holds) {
                (false, _) | (true, Some(false)) => None,
                (true, Some(true)) => Some(rule.then),
                (true, None) => Some(Verdict::Ask),
            }
        });
        let own = if needs_approval { Verdict::Ask } else { Verdict::Allow };
        let policy = ApprovalPolicy::new(rules);
        prop_assert_eq!(policy.ruling(&spec, &arguments).verdict, expected.unwrap_or(own));

        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<ApprovalPolicy>(&text).unwrap(), policy);
    }

    #[test]
    fn nothing_outside_ever_weakens_a_policy(
        own in proptest::collection::vec(rule(), 0..4),
        outer in proptest::collection::vec(rule(), 0..4),
        needs_approval: bool,
        n in 0..5,
    ) {
        let strictness = |verdict| match verdict {
            Verdict::Allow => 0,
            Verdict::Ask => 1,
            Verdict::Deny => 2,
        };
        let spec = tool("a", ToolFlags { needs_approval, ..ToolFlags::default() });
        let (own, outer) = (ApprovalPolicy::new(own), ApprovalPolicy::new(outer));
        let alone = verdict(&own, &spec, json!({"n": n}));
        let both = verdict(&own.clone().within(&outer), &spec, json!({"n": n}));
        prop_assert!(strictness(both) >= strictness(alone));
        // The tool's own flag is not the outer policy's business.
        let unflagged = verdict(&outer, &plain("a"), json!({"n": n}));
        prop_assert!(strictness(both) >= strictness(unflagged));
    }
}
