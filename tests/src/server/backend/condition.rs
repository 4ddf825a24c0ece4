//! The preconditions of RFC 9110 section 13, as S3 applies them.

use std::time::SystemTime;

use s3s::{
    S3Result,
    dto::{ETag, ETagCondition, Timestamp},
    s3_error,
};

use super::super::state::StoredObject;

/// The conditions of a request, or those on the source of a copy.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// The reason why a read does not return the object.
enum Refusal {
    PreconditionFailed,
    NotModified,
}

impl Conditions {
    /// Checks the conditions of a read: `PreconditionFailed` (412) or `NotModified` (304).
    pub(super) fn check_read(&self, object: &StoredObject) -> S3Result<()> {
        match self.refusal(object) {
            None => Ok(()),
            Some(Refusal::PreconditionFailed) => Err(s3_error!(PreconditionFailed)),
            Some(Refusal::NotModified) => Err(s3_error!(NotModified)),
        }
    }

    /// Checks the conditions on the source of a copy. Every refusal is `PreconditionFailed` (412).
    pub(super) fn check_copy_source(&self, object: &StoredObject) -> S3Result<()> {
        self.refusal(object).map_or(Ok(()), |_| Err(s3_error!(PreconditionFailed)))
    }

    /// Checks the conditions of a write against the existing object: `PreconditionFailed` (412), or `NoSuchKey` (404)
    /// if a certain object was expected and none exists.
    pub(super) fn check_write(&self, existing: Option<&StoredObject>) -> S3Result<()> {
        match (&self.if_match, existing) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(object)) if !matches(condition, object) => {
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        match (&self.if_none_match, existing) {
            (Some(condition), Some(object)) if matches(condition, object) => Err(s3_error!(PreconditionFailed)),
            _ => Ok(()),
        }
    }

    fn refusal(&self, object: &StoredObject) -> Option<Refusal> {
        let changed_after = |time: &Timestamp| Timestamp::from(object.modified) > *time;
        let match_fails = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !matches(condition, object),
            (None, Some(time)) => changed_after(time),
            (None, None) => false,
        };
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => matches(condition, object),
            (None, Some(time)) => !changed_after(time),
            (None, None) => false,
        };
        match (match_fails, unchanged) {
            (true, _) => Some(Refusal::PreconditionFailed),
            (false, true) => Some(Refusal::NotModified),
            (false, false) => None,
        }
    }
}

fn matches(condition: &ETagCondition, object: &StoredObject) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|etag| etag.value() == object.etag)
}

/// Returns the ETag of an object in the type of the protocol.
pub(super) fn etag(object: &StoredObject) -> ETag {
    ETag::Strong(object.etag.clone())
}

/// Returns a time in the type of the protocol.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::from(time)
}
