//! The requests of the S3 protocol that this crate sends, under the names that S3 gives them, and their counters.
//!
//! [`Usage`] reports these counts, which S3 bills. With a single list, no request can be forgotten.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use pos3_core::Usage;

macro_rules! operations {
    ($($name:ident $method:ident),* $(,)?) => {
        /// A kind of S3 request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum S3Operation { $($name),* }

        impl S3Operation {
            const ALL: &[S3Operation] = &[$(Self::$name),*];

            /// Returns the name S3 gives this request.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            pub(crate) fn method(self) -> Method {
                match self { $(Self::$name => Method::$method),* }
            }
        }
    };
}

operations! {
    ListObjectsV2 GET,
    HeadObject HEAD,
    GetObjectTagging GET,
    GetObject GET,
    PutObject PUT,
    CreateMultipartUpload POST,
    UploadPart PUT,
    UploadPartCopy PUT,
    CompleteMultipartUpload POST,
    AbortMultipartUpload DELETE,
    ListMultipartUploads GET,
    ListParts GET,
    CopyObject PUT,
    DeleteObjects POST,
    DeleteObject DELETE,
}

/// The number of requests of each kind.
#[derive(Debug)]
pub(crate) struct Counters(Box<[AtomicU64]>);

impl Counters {
    pub(crate) fn count(&self, operation: S3Operation) {
        self.0[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> Usage {
        S3Operation::ALL.iter().map(|kind| (kind.name(), self.0[*kind as usize].load(Ordering::Relaxed))).collect()
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self(S3Operation::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_is_counted() {
        let counters = Counters::default();
        counters.count(S3Operation::PutObject);
        counters.count(S3Operation::PutObject);
        counters.count(S3Operation::DeleteObject);
        assert_eq!(counters.usage().to_string(), "1 DeleteObject, 2 PutObject");
    }
}
