//! Chooses how content is stored.

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
            && let Some(copied) = self.put_by_copy(key, (source, entry), &content, &options, &headers).await?
        {
            return Ok(copied);
        }
        let headers = with_content_type(headers, key);
        if content.size() > self.client.config().multipart_threshold {
            self.put_in_parts(key, content, &options, headers).await
        } else {
            self.put_whole(key, &content, &options, headers).await
        }
    }
}
