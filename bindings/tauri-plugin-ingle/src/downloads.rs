//! Downloads belong to the app, not to a page: they go on when a page is reloaded or its window is closed.

use crate::{
    Error, Result,
    models::{DownloadEvent, DownloadInfo, DownloadProgress, StoredModel},
    store::Store,
    streams::new_id,
    timer::lock,
};
use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tauri::ipc::Channel;

/// Progress goes to pages this often.
const EVERY: Duration = Duration::from_millis(50);
const MAX_RUNNING: usize = 8;

type Map = Mutex<HashMap<String, Arc<Download>>>;
/// A webview and where it listens.
type Page = (String, Channel<DownloadEvent>);

/// All downloads that run.
#[derive(Default)]
pub(crate) struct Downloads {
    map: Arc<Map>,
}

struct Download {
    id: String,
    source: String,
    cancelled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    progress: Option<DownloadProgress>,
    told: Option<Instant>,
    pages: Vec<Page>,
    /// The last message, once there is one.
    end: Option<DownloadEvent>,
}

impl Downloads {
    /// Starts a download, or takes part in the one of the same source. Returns its id.
    pub(crate) fn start(
        &self,
        store: &Store,
        source: &str,
        max_bytes: Option<u64>,
        page: Page,
    ) -> Result<String> {
        let mut map = lock(&self.map);
        // One that was cancelled is on its way out; a new one goes on where it stopped.
        let running = |download: &&Arc<Download>| {
            download.source == source && !download.cancelled.load(Ordering::SeqCst)
        };
        if let Some(download) = map.values().find(running) {
            download.attach(page);
            return Ok(download.id.clone());
        }
        if map.len() >= MAX_RUNNING {
            return Err(Error::new(
                "limit",
                format!("{MAX_RUNNING} downloads are running"),
                "wait for one to end, or cancel one",
            ));
        }
        let download = Arc::new(Download {
            id: new_id("d")?,
            source: source.into(),
            cancelled: AtomicBool::new(false),
            state: Mutex::default(),
        });
        download.attach(page);
        map.insert(download.id.clone(), download.clone());
        drop(map);
        let (id, map, store) = (download.id.clone(), self.map.clone(), store.clone());
        let work = move || {
            let pulled = store.pull(&download.source, max_bytes, &mut |progress| {
                download.on_progress(progress)
            });
            lock(&map).remove(&download.id);
            download.finish(pulled);
        };
        let thread = std::thread::Builder::new()
            .name("ingle-download".into())
            .spawn(work);
        if let Err(error) = thread {
            lock(&self.map).remove(&id);
            return Err(Error::io("a thread for the download", &error));
        }
        Ok(id)
    }

    /// What was received stays for the next try.
    pub(crate) fn cancel(&self, id: &str) {
        if let Some(download) = lock(&self.map).get(id) {
            download.cancelled.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn cancel_all(&self) {
        for download in lock(&self.map).values() {
            download.cancelled.store(true, Ordering::SeqCst);
        }
    }

    pub(crate) fn list(&self) -> Vec<DownloadInfo> {
        let map = lock(&self.map);
        let mut rows: Vec<_> = map
            .values()
            .map(|download| DownloadInfo {
                download: download.id.clone(),
                source: download.source.clone(),
                progress: lock(&download.state).progress.clone(),
            })
            .collect();
        rows.sort_by(|a, b| a.source.cmp(&b.source));
        rows
    }

    /// The page of this webview is being replaced.
    pub(crate) fn detach_webview(&self, webview: &str) {
        for download in lock(&self.map).values() {
            lock(&download.state)
                .pages
                .retain(|(label, _)| label != webview);
        }
    }
}

impl Download {
    fn attach(&self, page: Page) {
        let mut state = lock(&self.state);
        let _ = page.1.send(DownloadEvent::Started {
            source: self.source.clone(),
        });
        if let Some(progress) = &state.progress {
            let _ = page.1.send(DownloadEvent::Progress(progress.clone()));
        }
        match &state.end {
            Some(end) => drop(page.1.send(end.clone())),
            None => state.pages.push(page),
        }
    }

    fn on_progress(&self, progress: DownloadProgress) -> ControlFlow<()> {
        let mut state = lock(&self.state);
        let same = state
            .progress
            .as_ref()
            .is_some_and(|old| (&old.phase, &old.file) == (&progress.phase, &progress.file));
        let soon = state.told.is_some_and(|told| told.elapsed() < EVERY);
        state.progress = Some(progress.clone());
        if !(same && soon) {
            state.told = Some(Instant::now());
            state.tell(&DownloadEvent::Progress(progress));
        }
        if self.cancelled.load(Ordering::SeqCst) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn finish(&self, pulled: Result<StoredModel>) {
        let end = match pulled {
            Ok(model) => DownloadEvent::Done { model },
            Err(error) => DownloadEvent::Error {
                code: error.code.into_owned(),
                message: error.message,
                hint: error.hint,
            },
        };
        let mut state = lock(&self.state);
        if let (Some(progress), DownloadEvent::Done { .. }) = (state.progress.clone(), &end) {
            // The last numbers, which may have come too soon after the ones before.
            state.tell(&DownloadEvent::Progress(progress));
        }
        state.tell(&end);
        state.end = Some(end);
        state.pages.clear();
    }
}

impl State {
    fn tell(&mut self, event: &DownloadEvent) {
        self.pages
            .retain(|(_, channel)| channel.send(event.clone()).is_ok());
    }
}
