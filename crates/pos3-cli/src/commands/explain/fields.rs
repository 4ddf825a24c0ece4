//! An explanation as JSON.

use pos3::{Effect, Entry, Explanation, FilterRule, Fingerprint, Key};
use serde::Serialize;

use super::lines::{kind, time, unchanged_since};
use super::words::Words;
use crate::args::ExplainArgs;
use crate::json;

/// The JSON fields of the command.
#[derive(Serialize)]
pub(super) struct Fields {
    source: String,
    target: String,
    #[serde(serialize_with = "json::message")]
    path: String,
    #[serde(flatten)]
    explanation: Option<ExplanationFields>,
}

#[derive(Serialize)]
struct ExplanationFields {
    key: Key,
    rule: Option<RuleJson>,
    at_source: Option<EntryJson>,
    at_target: Option<EntryJson>,
    sync_state: Option<RowJson>,
    outcome: &'static str,
    would: String,
    reason: String,
}

#[derive(Serialize)]
struct RuleJson {
    effect: &'static str,
    pattern: String,
    file: Option<String>,
    line: Option<usize>,
}

#[derive(Serialize)]
struct EntryJson {
    kind: String,
    size: u64,
    modified: Option<String>,
    fingerprint: Option<String>,
    digest: Option<String>,
}

#[derive(Serialize)]
struct RowJson {
    source_is_as_it_was: bool,
    target_is_as_it_was: bool,
    digest: Option<String>,
}

impl Fields {
    pub(super) fn new(args: &ExplainArgs, explanation: &Explanation, words: &Words) -> Self {
        let sync_state = unchanged_since(explanation).map(|(source, target)| RowJson {
            source_is_as_it_was: source,
            target_is_as_it_was: target,
            digest: explanation.row.as_ref().and_then(|row| row.digest).map(|digest| digest.to_string()),
        });
        let explanation = ExplanationFields {
            key: explanation.key.clone(),
            rule: explanation.rule.as_ref().map(RuleJson::from),
            at_source: explanation.source.as_ref().map(EntryJson::from),
            at_target: explanation.target.as_ref().map(EntryJson::from),
            sync_state,
            outcome: words.outcome,
            would: words.would.clone(),
            reason: words.reason.clone(),
        };
        Self { explanation: Some(explanation), ..Self::of_no_explanation(args) }
    }

    /// Returns the fields if there is no explanation.
    pub(super) fn of_no_explanation(args: &ExplainArgs) -> Self {
        let (source, target) = (args.job.from.to_string(), args.job.to.to_string());
        Self { source, target, path: args.path.clone(), explanation: None }
    }
}

impl From<&FilterRule> for RuleJson {
    fn from(rule: &FilterRule) -> Self {
        Self {
            effect: if rule.effect == Effect::Exclude { "exclude" } else { "include" },
            pattern: rule.text.clone(),
            file: rule.line.as_ref().map(|line| line.name.clone()),
            line: rule.line.as_ref().map(|line| line.number),
        }
    }
}

impl From<&Entry> for EntryJson {
    fn from(entry: &Entry) -> Self {
        Self {
            kind: kind(entry),
            size: entry.size,
            modified: time(entry),
            fingerprint: entry.fingerprint.as_ref().map(Fingerprint::to_text),
            digest: entry.digest.map(|digest| digest.to_string()),
        }
    }
}
