//! The model store: what is on this machine, and pulling more.

use crate::{
    Config, Error, Result,
    models::{DownloadProgress, StoredModel},
};
use ingle::hub::{Hub, Progress};
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

/// Where the store is and how it downloads.
#[derive(Clone)]
pub(crate) struct Store {
    home: Option<PathBuf>,
    endpoint: Option<String>,
    offline: bool,
}

/// Called every 50 ms or oftener; `Break` cancels.
pub(crate) type OnProgress<'a> = &'a mut (dyn FnMut(DownloadProgress) -> ControlFlow<()> + Send);

impl Store {
    pub(crate) fn new(home: Option<PathBuf>, config: &Config) -> Self {
        Self {
            home,
            endpoint: config.endpoint.clone(),
            offline: config.offline,
        }
    }

    /// The environment's token and mirror hold, as for every other program; the configuration wins.
    fn hub(&self, max_bytes: Option<u64>) -> Result<Hub> {
        let mut hub = Hub::builder().from_env();
        if let Some(home) = &self.home {
            hub = hub.home(home);
        }
        if let Some(endpoint) = &self.endpoint {
            hub = hub.endpoint(endpoint);
        }
        if self.offline {
            hub = hub.offline(true);
        }
        if let Some(max) = max_bytes {
            // 0 would mean no limit.
            hub = hub.max_bytes(max.max(1));
        }
        Ok(hub.open()?)
    }

    pub(crate) fn list(&self) -> Result<Vec<StoredModel>> {
        let rows = self.hub(None)?.list()?;
        Ok(rows
            .into_iter()
            .map(|row| StoredModel {
                name: row.name,
                path: row.path,
                bytes: row.bytes,
                format: row.format,
                source: row.source,
                complete: row.complete,
                loaded: false,
            })
            .collect())
    }

    /// The name and the path of a model, by its name, the beginning of it or what it was pulled from.
    pub(crate) fn find(&self, name: &str) -> Result<(String, PathBuf)> {
        let hub = self.hub(None)?;
        let path = hub.find(name)?;
        let row = hub
            .list()?
            .into_iter()
            .find(|row| Path::new(&row.path) == path);
        let row =
            row.ok_or_else(|| Error::internal(format!("{name:?} is found but not listed")))?;
        Ok((row.name, path))
    }

    /// A row by its whole name, unfinished ones too.
    pub(crate) fn row(&self, name: &str) -> Result<StoredModel> {
        let rows = self.list()?;
        let exact = rows.iter().find(|row| row.name == name);
        let row = exact.or_else(|| rows.iter().find(|row| row.name.eq_ignore_ascii_case(name)));
        row.cloned().ok_or_else(|| {
            Error::not_found(
                format!("there is no model {name:?} in the store"),
                "list_models says what there is",
            )
        })
    }

    pub(crate) fn pull(
        &self,
        what: &str,
        max_bytes: Option<u64>,
        on_progress: OnProgress<'_>,
    ) -> Result<StoredModel> {
        let pulled = self
            .hub(max_bytes)?
            .pull(what, |progress| on_progress(translate(progress)))?;
        Ok(StoredModel {
            name: pulled.name,
            path: pulled.path,
            bytes: pulled.bytes,
            format: pulled.format,
            source: pulled.source,
            complete: true,
            loaded: false,
        })
    }

    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        Ok(self.hub(None)?.remove(name)?)
    }

    pub(crate) fn verify(&self, name: &str, on_progress: OnProgress<'_>) -> Result<()> {
        Ok(self
            .hub(None)?
            .verify(name, |progress| on_progress(translate(progress)))?)
    }
}

fn translate(progress: &Progress) -> DownloadProgress {
    let phase = serde_json::to_value(progress.phase);
    DownloadProgress {
        phase: phase
            .ok()
            .and_then(|phase| Some(phase.as_str()?.to_owned()))
            .unwrap_or_default(),
        file: progress.file.clone(),
        file_index: progress.file_index,
        files: progress.files,
        bytes_done: progress.bytes_done,
        bytes_total: progress.bytes_total,
        bytes_resumed: progress.bytes_resumed,
        bytes_per_second: progress.bytes_per_second,
        seconds_left: progress.seconds_left,
    }
}
