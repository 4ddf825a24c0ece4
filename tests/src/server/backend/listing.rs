//! Listings: the keys and common prefixes on each page.

mod fault;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::{S3Request, S3Response, S3Result, dto::*, s3_error};

use super::{
    super::{
        operation::Operation,
        settings::ListingOrder,
        state::{Bucket as StoredBucket, Storage, StoredObject},
    },
    Backend, bucket,
    condition::{etag, timestamp},
    ok,
};

/// The characters that S3 percent-encodes in a listing with `encoding-type=url`. A space becomes `+`.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'*').remove(b' ');

pub(super) async fn list_v2(
    backend: &Backend,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let token = input.continuation_token.as_deref().map(place_of_token).transpose()?;
    let settings = backend.settings.get();
    let fault = settings.listing_faults.get(&Operation::ListObjectsV2).copied();
    let world = backend.state.read();
    let asked = input.prefix.as_deref().unwrap_or_default();
    let wanted = Wanted {
        prefix: asked,
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: token.as_deref().or(input.start_after.as_deref()).filter(|after| !after.is_empty()),
        limit: limit(backend, input.max_keys)?,
    };
    let wanted = wanted.misunderstood(fault, token.is_some());
    let bucket = bucket::find(&world, &input.bucket)?;
    let mut page = wanted.page(bucket, settings.listing_order);
    let next = page.next().map(|place| BASE64.encode(place));
    page.spoil(fault, &wanted, bucket);
    let names = Names(input.encoding_type.clone());
    let mut output = ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(names.write(asked)),
        max_keys: Some(input.max_keys.unwrap_or(1000).min(1000)),
        key_count: Some(i32::try_from(page.items.len()).unwrap_or(i32::MAX)),
        is_truncated: Some(page.truncated),
        next_continuation_token: next,
        contents: Some(page.contents(&names, restores(input.optional_object_attributes.as_ref()))),
        common_prefixes: Some(page.common_prefixes(&names)),
        delimiter: wanted.delimiter.map(|delimiter| names.write(delimiter)),
        start_after: input.start_after.as_deref().map(|after| names.write(after)),
        continuation_token: input.continuation_token,
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    };
    if !settings.lists_etags {
        output.contents.iter_mut().flatten().for_each(|object| object.e_tag = None);
    }
    fault::spoil(&mut output, fault);
    ok(output)
}

pub(super) async fn list(
    backend: &Backend,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let world = backend.state.read();
    let wanted = Wanted {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
        after: input.marker.as_deref().filter(|marker| !marker.is_empty()),
        limit: limit(backend, input.max_keys)?,
    };
    let page = wanted.page(bucket::find(&world, &input.bucket)?, backend.settings.get().listing_order);
    let names = Names(input.encoding_type.clone());
    ok(ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(names.write(wanted.prefix)),
        marker: Some(names.write(wanted.after.unwrap_or_default())),
        max_keys: Some(input.max_keys.unwrap_or(1000).min(1000)),
        is_truncated: Some(page.truncated),
        next_marker: page.next().filter(|_| wanted.delimiter.is_some()).map(|place| names.write(place)),
        contents: Some(page.contents(&names, Restores::Untold)),
        common_prefixes: Some(page.common_prefixes(&names)),
        delimiter: wanted.delimiter.map(|delimiter| names.write(delimiter)),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    })
}

/// Returns the number of entries on a page: the requested number, limited by the server's page size.
fn limit(backend: &Backend, max_keys: Option<i32>) -> S3Result<usize> {
    let asked = usize::try_from(max_keys.unwrap_or(1000))
        .map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
    Ok(asked.min(backend.settings.get().page_size.clamp(1, 1000)))
}

fn place_of_token(token: &str) -> S3Result<String> {
    let place = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // A fault may add a prefix to the place, so that no two tokens are equal.
    let place = place.map(|place| place.rsplit('\0').next().unwrap_or_default().to_owned());
    place.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of ours"))
}

/// The parameters of a listing.
struct Wanted<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    after: Option<&'a str>,
    limit: usize,
}

/// One entry of a listing.
#[derive(Clone, Copy)]
enum Item<'a> {
    Object(&'a str, &'a StoredObject),
    CommonPrefix(&'a str),
}

impl<'a> Item<'a> {
    fn name(&self) -> &'a str {
        match self {
            Self::Object(name, _) | Self::CommonPrefix(name) => name,
        }
    }
}

impl Wanted<'_> {
    fn page<'a>(&self, bucket: &'a StoredBucket, order: ListingOrder) -> Page<'a> {
        let comes_later = |item: &Item<'_>| self.after.is_none_or(|after| order.compare(item.name(), after).is_gt());
        let mut items: Vec<Item<'a>> = match order {
            ListingOrder::Bytes => {
                let from = self.after.unwrap_or_default().max(self.prefix);
                self.items(&bucket.objects, from).filter(comes_later).take(self.limit + 1).collect()
            }
            ListingOrder::DirectoryTree | ListingOrder::Shuffled { .. } => {
                let mut items: Vec<_> = self.items(&bucket.objects, self.prefix).collect();
                items.sort_by(|left, right| order.compare(left.name(), right.name()));
                items.into_iter().filter(comes_later).take(self.limit + 1).collect()
            }
        };
        let truncated = self.limit > 0 && items.len() > self.limit;
        items.truncate(self.limit);
        Page { items, truncated }
    }

    /// Yields the entries from this key on in byte order, and each common prefix once.
    fn items<'a>(
        &self,
        objects: &'a BTreeMap<String, Arc<StoredObject>>,
        from: &str,
    ) -> impl Iterator<Item = Item<'a>> {
        let mut last_prefix: Option<&'a str> = None;
        objects
            .range::<str, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(self.prefix))
            .filter_map(move |(key, object)| match self.common_prefix(key) {
                None => Some(Item::Object(key, object)),
                Some(prefix) if last_prefix == Some(prefix) => None,
                Some(prefix) => {
                    last_prefix = Some(prefix);
                    Some(Item::CommonPrefix(prefix))
                }
            })
    }

    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter?;
        let position = key[self.prefix.len()..].find(delimiter)?;
        Some(&key[..self.prefix.len() + position + delimiter.len()])
    }
}

struct Page<'a> {
    items: Vec<Item<'a>>,
    truncated: bool,
}

impl Page<'_> {
    /// Returns the last name on this page if there is another page.
    fn next(&self) -> Option<&str> {
        self.items.last().filter(|_| self.truncated).map(Item::name)
    }

    fn contents(&self, names: &Names, restores: Restores) -> ObjectList {
        let object = |item: &Item<'_>| match item {
            Item::CommonPrefix(_) => None,
            Item::Object(key, object) => Some(Object {
                key: Some(names.write(key)),
                size: i64::try_from(object.bytes.len()).ok(),
                e_tag: Some(etag(object)),
                last_modified: Some(timestamp(object.modified)),
                storage_class: Some(ObjectStorageClass::from(object.storage.class().unwrap_or("STANDARD").to_owned())),
                restore_status: restores.status(object),
                ..Object::default()
            }),
        };
        self.items.iter().filter_map(object).collect()
    }

    fn common_prefixes(&self, names: &Names) -> CommonPrefixList {
        let prefix = |item: &Item<'_>| match item {
            Item::CommonPrefix(prefix) => Some(CommonPrefix { prefix: Some(names.write(prefix)) }),
            Item::Object(..) => None,
        };
        self.items.iter().filter_map(prefix).collect()
    }
}

/// Whether the response reports restored copies of archived objects.
#[derive(Clone, Copy)]
enum Restores {
    Told,
    Untold,
}

fn restores(attributes: Option<&OptionalObjectAttributesList>) -> Restores {
    let is_restore =
        |attribute: &OptionalObjectAttributes| attribute.as_str() == OptionalObjectAttributes::RESTORE_STATUS;
    if attributes.is_some_and(|attributes| attributes.iter().any(is_restore)) {
        Restores::Told
    } else {
        Restores::Untold
    }
}

impl Restores {
    fn status(self, object: &StoredObject) -> Option<RestoreStatus> {
        match (self, &object.storage) {
            (Self::Told, Storage::Restored { .. }) => Some(RestoreStatus {
                is_restore_in_progress: Some(false),
                restore_expiry_date: Some(timestamp(object.modified)),
            }),
            _ => None,
        }
    }
}

/// How names are written in the response: plain, or encoded if the request asks for it.
pub(super) struct Names(pub(super) Option<EncodingType>);

impl Names {
    pub(super) fn write(&self, name: &str) -> String {
        match &self.0 {
            Some(encoding) if encoding.as_str() == EncodingType::URL => {
                utf8_percent_encode(name, ENCODED).to_string().replace(' ', "+")
            }
            _ => name.to_owned(),
        }
    }
}
