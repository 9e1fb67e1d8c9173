//! The page `docs/configuration.md` lists every key, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use martlet::{ApprovalRule, ModelOptions};

use crate::decode::keys_of;
use crate::settings::{
    AfterTable, AgentTable, CodeTable, ForEachFields, ModelTable, NodeTable, PriceTable, ProfileTable,
    RepeatTable, RetryFields, RetryTable, SearchTable, ServerTable, TOP, TimeoutsTable, VisitTable, WebTable,
    WorkflowTable,
};

const PAGE: &str = include_str!("../../../docs/configuration.md");

type Keys = BTreeMap<String, BTreeSet<String>>;

/// The keys that the page lists under headings that name a table.
fn listed() -> Keys {
    let mut all = Keys::new();
    let mut table = None;
    for line in PAGE.lines() {
        if line.starts_with('#') {
            table = line.split_once("`[").and_then(|(_, rest)| rest.split_once("]`")).map(|(name, _)| name);
        } else if let (Some(table), Some(row)) = (table, line.strip_prefix("| `"))
            && let Some((key, _)) = row.split_once('`')
        {
            let new = all.entry(table.to_owned()).or_default().insert(key.to_owned());
            assert!(new, "{key} is listed twice in {table}");
        }
    }
    all
}

fn accepted() -> Keys {
    let tables: &[(&str, &[&str])] = &[
        ("", &TOP),
        ("server", keys_of::<ServerTable>()),
        ("tools.web", keys_of::<WebTable>()),
        ("tools.web_search", keys_of::<SearchTable>()),
        ("tools.visit_webpage", keys_of::<VisitTable>()),
        ("[approvals]", keys_of::<ApprovalRule>()),
        ("models.NAME", keys_of::<ModelTable>()),
        ("models.NAME.options", keys_of::<ModelOptions>()),
        ("models.NAME.price", keys_of::<PriceTable>()),
        ("models.NAME.profile", keys_of::<ProfileTable>()),
        ("models.NAME.timeouts", keys_of::<TimeoutsTable>()),
        ("models.NAME.retry", keys_of::<RetryTable>()),
        ("agents.NAME", keys_of::<AgentTable>()),
        ("agents.NAME.code", keys_of::<CodeTable>()),
        ("workflows.NAME", keys_of::<WorkflowTable>()),
        ("workflows.NAME.nodes.NODE", keys_of::<NodeTable>()),
        ("workflows.NAME.nodes.NODE.after", keys_of::<AfterTable>()),
        ("workflows.NAME.nodes.NODE.retry", keys_of::<RetryFields>()),
        ("workflows.NAME.nodes.NODE.for_each", keys_of::<ForEachFields>()),
        ("workflows.NAME.nodes.NODE.repeat", keys_of::<RepeatTable>()),
    ];
    tables
        .iter()
        .map(|(table, keys)| ((*table).to_owned(), keys.iter().map(|key| (*key).to_owned()).collect()))
        .collect()
}

#[test]
fn every_key_is_on_the_page_and_every_key_of_the_page_is_accepted() {
    let (listed, accepted) = (listed(), accepted());
    assert_eq!(listed, accepted);
}

#[test]
fn the_examples_of_the_page_are_read() {
    let mut examples = 0;
    for block in PAGE.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let tree = crate::file::parse(text, Path::new("docs/configuration.md")).unwrap();
        let (_, problems) = crate::Settings::read(&tree);
        assert!(problems.is_empty(), "{problems:?}");
        examples += 1;
    }
    assert!(examples >= 1);
}
