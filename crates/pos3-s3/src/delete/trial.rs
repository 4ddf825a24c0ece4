//! Deletes with the ETags of the objects, and without them if the server may have refused them because of the ETags.
//!
//! Some servers do not support such a condition or evaluate it wrongly, and Amazon permits it only with the permission
//! to read. Each further request is preceded by a new lookup of the objects.

use pos3_core::ErrorKind;

use super::document::Conditions;
use super::look::Look;
use crate::client::S3Client;
use crate::client::habits::lack::{Trial, is_unknown};
use crate::error::{Failure, Refusal};

/// The conditions of one delete, of one key or of many.
pub(super) struct ConditionTrial<'c> {
    client: &'c S3Client,
    conditions: Conditions,
    trial: Trial,
    /// The refusal after which the conditions were omitted.
    refusal: Option<Failure>,
    /// The server has refused a condition that was met according to the last lookup.
    is_contradicted: bool,
    /// The last refusal is not due to a lack of the server.
    is_final: bool,
}

impl<'c> ConditionTrial<'c> {
    /// Returns a trial that starts with conditions, if the delete has any and the server is not known to lack them.
    pub(super) fn new(client: &'c S3Client, has_conditions: bool) -> Self {
        let sends = has_conditions && client.conditional_deletes();
        let conditions = if sends { Conditions::Sent } else { Conditions::Unsent };
        Self { client, conditions, trial: Trial::new(), refusal: None, is_contradicted: false, is_final: false }
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// Returns how the keys are looked up before the next request.
    pub(super) fn look(&self) -> Look {
        if self.is_contradicted { Look::Singly } else { Look::Together }
    }

    /// Returns true if the delete must be looked up and sent again because of this failure: unchanged, or without its
    /// conditions.
    pub(super) async fn goes_on(&mut self, failure: &Failure) -> bool {
        if !self.may_be_about_condition(failure) {
            return false;
        }
        self.is_contradicted |= failure.refusal().is_some_and(Refusal::is_failed_condition);
        if !self.trial.repeats(failure, self.client.config().longest_pause).await {
            if failure.refusal().is_some_and(Refusal::is_failed_condition) && self.client.has_obeyed_deletes() {
                // The server evaluates such conditions, so the object has probably changed although the lookup does not
                // show it.
                self.is_final = true;
                return false;
            }
            self.conditions = Conditions::Unsent;
            self.refusal = Some(failure.repeat());
        }
        true
    }

    /// Returns true if the server may have refused the delete because of its condition, and it may be omitted.
    pub(super) fn may_be_about_condition(&self, failure: &Failure) -> bool {
        let is_sent = self.conditions == Conditions::Sent && self.client.may_drop_conditions() && !self.is_final;
        is_sent && (is_unknown(failure) || failure.refusal().is_some_and(may_be_about_condition))
    }

    /// Returns true if the conditions were omitted after a refusal.
    pub(super) fn is_fallback(&self) -> bool {
        self.refusal.is_some()
    }

    /// Returns the failure to report: the first refusal, if the delete was refused without its conditions, too.
    pub(super) fn first(&self, failure: Failure) -> Failure {
        match &self.refusal {
            Some(refusal) if !failure.is_temporary() => refusal.repeat(),
            _ => failure,
        }
    }

    /// Records that the server has deleted the object at `key`.
    pub(super) fn succeeded(&self, key: &str) {
        match (self.conditions, self.is_fallback()) {
            (Conditions::Sent, _) => self.client.has_conditional_deletes(),
            (Conditions::Unsent, true) => self.client.lacks_conditional_deletes(self.trial.evidence(key)),
            (Conditions::Unsent, false) => {}
        }
    }
}

fn may_be_about_condition(refusal: &Refusal) -> bool {
    refusal.is_failed_condition()
        || refusal.code == "MalformedXML"
        || matches!(refusal.kind(), ErrorKind::Denied | ErrorKind::Unsupported)
}
