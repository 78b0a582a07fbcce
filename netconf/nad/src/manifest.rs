//! Files as they are given to `kubectl apply -f`: YAML of one document or several, or JSON.

use cni::{Code, Error, Json};

use crate::definition::KIND;
use crate::{Definition, Pod, name};

/// The objects of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Its NetworkAttachmentDefinitions.
    pub definitions: Vec<Definition>,
    /// Its pods, and the pods that its Deployments and the like make.
    pub pods: Vec<Pod>,
}

impl Manifest {
    /// Reads a file's text; objects of other kinds are passed over. Codes 6 and 7, with the object that
    /// is wrong.
    pub fn parse(text: &[u8], what: &str) -> Result<Self, Error> {
        let mut manifest = Self::default();
        for object in objects(text, what)? {
            let place = place(&object);
            manifest.take(&object).map_err(|e| e.while_(format_args!("{what}: {place}")))?;
        }
        Ok(manifest)
    }

    fn take(&mut self, object: &Json) -> Result<(), Error> {
        if name::text(object, &["kind"])? == KIND {
            self.definitions.push(Definition::from_json(object)?);
        } else if let Some(pod) = Pod::from_json(object)? {
            self.pods.push(pod);
        }
        Ok(())
    }
}

/// The objects of a file's text, those of lists one by one. Code 6 with line and column.
pub fn objects(text: &[u8], what: &str) -> Result<Vec<Json>, Error> {
    let mut objects = Vec::new();
    for document in documents(text, what)? {
        let is_list = name::exact(&document, "kind")
            .and_then(Json::as_str)
            .is_some_and(|kind| kind == "List" || kind == format!("{KIND}List"));
        match (is_list, name::exact(&document, "items")) {
            (true, Some(Json::Array(items))) => objects.extend(items.iter().cloned()),
            _ => objects.push(document),
        }
    }
    Ok(objects)
}

/// `KIND NAMESPACE/NAME`, as far as the object says.
pub fn place(object: &Json) -> String {
    let text = |path: &[&str]| name::text(object, path).unwrap_or_default();
    let (kind, own) = (text(&["kind"]), text(&["metadata", "name"]));
    match (kind, text(&["metadata", "namespace"])) {
        ("", _) => "the object".to_owned(),
        (kind, "") if own.is_empty() => kind.to_owned(),
        (kind, "") => format!("{kind} {own}"),
        (kind, namespace) => format!("{kind} {namespace}/{own}"),
    }
}

/// Empty documents are none.
fn documents(text: &[u8], what: &str) -> Result<Vec<Json>, Error> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Error::new(Code::DECODE, format!("{what} is not UTF-8")));
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // YAML would read JSON too, but not with tabs, and it has other words for what is wrong.
    if text.trim_start().starts_with(['{', '[']) {
        return Ok(vec![Json::parse(text.as_bytes(), what)?]);
    }
    let documents: Vec<Json> = serde_saphyr::from_multiple(text).map_err(|e| {
        let at = e.location().map(|at| format!("{}:{}: ", at.line(), at.column()));
        let at = at.unwrap_or_default();
        // The text around the place follows on further lines.
        let words = e.without_snippet().to_string();
        let words = words.lines().next().unwrap_or_default();
        Error::new(Code::DECODE, format!("{what}:{at}not YAML: {words}"))
    })?;
    Ok(documents.into_iter().filter(|d| *d != Json::Null).collect())
}
