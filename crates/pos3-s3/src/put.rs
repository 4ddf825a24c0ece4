//! Chooses how content is stored.
//!
//! Small files are the most frequent, and each of them is a task of its own. So the futures of the other methods, and of what
//! follows a failure, are boxed: the task of a small file does not contain them.

use std::sync::Arc;

use pos3_core::{Content, Entry, Key, Operation, PutOptions, Result, Stored};

use crate::bucket::{Bucket, check_key};
use crate::write::{description, with_content_type};

impl Bucket {
    /// Stores content by the most suitable method: a copy inside the server if the content is there (`origin`), one request, or
    /// parts.
    pub(crate) async fn put(
        self: &Arc<Self>,
        key: &Key,
        content: Content,
        origin: Option<(Arc<Self>, Entry)>,
        options: PutOptions,
    ) -> Result<Stored> {
        check_key(Operation::Write, key)?;
        let headers = description::told(&options).map_err(|failure| self.error(Operation::Write, key, failure))?;
        if let Some((source, entry)) = &origin
            && let Some(copied) = Box::pin(self.put_by_copy(key, (source, entry), &content, &options, &headers)).await?
        {
            return Ok(copied);
        }
        let headers = with_content_type(headers, key, &options.content_type_resolver)
            .map_err(|failure| self.error(Operation::Write, key, failure))?;
        if content.size() > self.client.config().multipart_threshold {
            Box::pin(self.put_in_parts(key, content, &options, headers)).await
        } else {
            self.put_whole(key, &content, &options, headers).await
        }
    }
}
