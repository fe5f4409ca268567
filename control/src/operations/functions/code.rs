//! The package that a function's code is in.

use types::{FunctionRuntime, ObjectId};

use super::Code;
use crate::caller::Caller;
use crate::operations::objects;
use crate::packages::with_package;
use crate::{Control, Error};

/// Sees that a package of the account can be unpacked, and is an image where it is run as one.
pub(super) async fn package(
    control: &Control,
    caller: &Caller,
    id: ObjectId,
    runtime: FunctionRuntime,
) -> Result<Code, Error> {
    let row = objects::own(control, caller, id).await?;
    let reader = control.open_object(&row).await?;
    let checked = with_package(reader, |open| {
        formats::archive::check_any(open(), &formats::archive::Limits::default())
    });
    match checked.await? {
        Ok(entries) if runtime == FunctionRuntime::Image && !is_image(&entries) => {
            let message = "this package is no image: send a folder or an archive with oci-layout \
                           and index.json, as `skopeo copy` and `docker save` write it";
            Err(Error::Invalid { code: "invalid_package", message: message.to_owned() })
        }
        Ok(_) => Ok(Code { bytes: row.bytes, sha256: row.sha256 }),
        Err(error) if error.kind() == types::ErrorKind::Internal => {
            Err(Error::internal("could not read a package", error))
        }
        Err(error) => Err(Error::Invalid { code: error.code(), message: error.to_string() }),
    }
}

fn is_image(entries: &[formats::archive::Entry]) -> bool {
    let has = |name: &str| entries.iter().any(|entry| entry.path == name);
    has(formats::image::LAYOUT_FILE) && has("index.json")
}
