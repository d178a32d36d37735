//! Models in memory: loaded when they are needed, shared by all who name them, put to sleep when nobody does.
//!
//! A model that sleeps keeps its row and, in a file of the app's cache, its conversation; the next use wakes it up.

use crate::{
    Error, Result,
    backend::{Backend, LoadProgress, LoadedModel, OptionList},
    timer::{Timer, lock},
};
use serde_json::Value;
use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, TryLockError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A conversation larger than this is computed again rather than written to the disk.
const MAX_SNAPSHOT: u64 = 1 << 30;

/// Where a model came from, which decides whose scope it falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By a name in the store.
    Store,
    /// A file that a page named.
    File,
    /// The configuration or the app's own code.
    App,
}

/// A model that may be loaded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub name: String,
    /// Canonical.
    pub path: PathBuf,
    pub origin: Origin,
}

/// A row: a model that was loaded and not unloaded since.
pub(crate) struct Slot {
    pub id: String,
    pub target: Target,
    options: Vec<(String, String)>,
    info: Mutex<Value>,
    /// Held while it is loaded or put to sleep; only by threads that may block.
    core: Mutex<Core>,
    /// Uses that have not ended: a sleeping model has none.
    active: AtomicUsize,
    closed: AtomicBool,
    idle: Mutex<Idle>,
    shared: Weak<Shared>,
    me: Weak<Slot>,
}

#[derive(Default)]
struct Core {
    model: Option<Arc<dyn LoadedModel>>,
    /// Where the conversation of a sleeping model is.
    snapshot: Option<PathBuf>,
}

struct Idle {
    since: Instant,
    armed: bool,
}

struct Shared {
    backend: Arc<dyn Backend>,
    slots: Mutex<Vec<Arc<Slot>>>,
    timer: Timer,
    idle_after: Option<Duration>,
    cache: PathBuf,
}

/// All models of the app.
#[derive(Clone)]
pub(crate) struct Models {
    shared: Arc<Shared>,
}

/// Keeps a model awake. It holds no model: it may be dropped on the engine's own thread.
pub(crate) struct Use {
    slot: Arc<Slot>,
}

impl Drop for Use {
    fn drop(&mut self) {
        lock(&self.slot.idle).since = Instant::now();
        if self.slot.active.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.slot.watch();
        }
    }
}

/// A model that is awake.
pub(crate) struct Awake {
    pub model: Arc<dyn LoadedModel>,
    /// How long it took now; 0 if it was awake.
    pub load_seconds: f64,
    pub guard: Use,
}

impl Slot {
    /// The model if it is awake and nobody is busy with it: for callers that must not block.
    pub(crate) fn try_awake(&self) -> Option<Awake> {
        let core = match self.core.try_lock() {
            Ok(core) => core,
            Err(TryLockError::Poisoned(core)) => core.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.hand_out(&core, 0.0)
    }

    fn hand_out(&self, core: &Core, load_seconds: f64) -> Option<Awake> {
        let model = core.model.clone().filter(|model| model.alive())?;
        let slot = self.me.upgrade()?;
        self.active.fetch_add(1, Ordering::SeqCst);
        Some(Awake {
            model,
            load_seconds,
            guard: Use { slot },
        })
    }

    /// The model, loaded if need be. Blocks.
    pub(crate) fn wake(&self, progress: LoadProgress<'_>) -> Result<Awake> {
        let mut core = lock(&self.core);
        if let Some(awake) = self.hand_out(&core, 0.0) {
            return Ok(awake);
        }
        let start = Instant::now();
        self.load(&mut core, progress)
            .inspect_err(|_| self.forget_if_new())?;
        self.hand_out(&core, start.elapsed().as_secs_f64())
            .ok_or_else(|| Error::new("crashed", "the model's process ended at once", ""))
    }

    fn load(&self, core: &mut Core, progress: LoadProgress<'_>) -> Result<()> {
        let gone = || Error::cancelled(format!("{} was unloaded", self.id));
        let shared = self.shared.upgrade().ok_or_else(gone)?;
        core.model = None;
        let mut checked = |what: &str, done: f64| {
            if self.closed.load(Ordering::SeqCst) {
                return ControlFlow::Break(());
            }
            progress(what, done)
        };
        if self.closed.load(Ordering::SeqCst) {
            return Err(gone());
        }
        let model = shared
            .backend
            .load(&self.target.path, &self.options, &mut checked)?;
        if self.closed.load(Ordering::SeqCst) {
            return Err(gone());
        }
        if let Some(file) = core.snapshot.take() {
            // Without it the conversation is computed again: slower, not wrong.
            let _ = model.restore(&file);
            let _ = std::fs::remove_file(file);
        }
        *lock(&self.info) = model.info().clone();
        core.model = Some(model);
        Ok(())
    }

    /// The same, from the model if it has not said it yet. Blocks.
    pub(crate) fn info_or_load(&self) -> Result<Value> {
        match self.info() {
            Some(info) => Ok(info),
            None => Ok(self
                .wake(&mut |_, _| ControlFlow::Continue(()))?
                .model
                .info()
                .clone()),
        }
    }

    /// A model that never was there leaves no row.
    fn forget_if_new(&self) {
        if let (None, Some(shared)) = (self.info(), self.shared.upgrade()) {
            let mut slots = lock(&shared.slots);
            slots.retain(|slot| !std::ptr::eq(&**slot, self));
        }
    }

    /// Looks again once the model may have been idle for long enough.
    fn watch(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let Some(after) = shared.idle_after else {
            return;
        };
        let mut idle = lock(&self.idle);
        if idle.armed || self.closed.load(Ordering::SeqCst) {
            return;
        }
        idle.armed = true;
        let wait = after.saturating_sub(idle.since.elapsed());
        drop(idle);
        let me = self.me.clone();
        shared.timer.after(wait, move || {
            let Some(slot) = me.upgrade() else { return };
            let mut idle = lock(&slot.idle);
            idle.armed = false;
            let long = idle.since.elapsed() >= after;
            drop(idle);
            if slot.active.load(Ordering::SeqCst) > 0 {
                return;
            }
            if long {
                std::thread::spawn(move || slot.sleep());
            } else {
                slot.watch();
            }
        });
    }

    /// Gives the memory back if nobody uses the model. Blocks while a conversation is written.
    fn sleep(&self) {
        let mut core = lock(&self.core);
        if self.active.load(Ordering::SeqCst) > 0 {
            return;
        }
        let Some(model) = core.model.take() else {
            return;
        };
        core.snapshot = self.keep_conversation(&*model);
        drop(model);
    }

    fn keep_conversation(&self, model: &dyn LoadedModel) -> Option<PathBuf> {
        if !model.alive() || kv_bytes(model.info()) > MAX_SNAPSHOT {
            return None;
        }
        let folder = self.shared.upgrade()?.cache.clone();
        std::fs::create_dir_all(&folder).ok()?;
        let file = folder.join(format!("{}.session", crate::streams::new_id("idle").ok()?));
        match model.save(&file) {
            Ok(()) => Some(file),
            Err(_) => {
                let _ = std::fs::remove_file(&file);
                None
            }
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // A load that is under way sees `closed` and gives up.
        let mut core = lock(&self.core);
        if let Some(model) = core.model.take() {
            model.cancel_all();
            drop(model);
        }
        if let Some(file) = core.snapshot.take() {
            let _ = std::fs::remove_file(file);
        }
    }

    /// What the model said of itself when it was loaded last.
    pub(crate) fn info(&self) -> Option<Value> {
        Some(lock(&self.info).clone()).filter(|info| !info.is_null())
    }
}

/// Bytes of a full conversation at the default size.
fn kv_bytes(info: &Value) -> u64 {
    let memory = &info["memory"];
    let at = |key: &str| memory[key].as_u64();
    at("kvAtDefaultContext")
        .or_else(|| at("kv_at_default_context"))
        .unwrap_or(0)
}

impl Models {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        timer: Timer,
        idle_after: Option<Duration>,
        cache: PathBuf,
    ) -> Self {
        // Conversations that a killed app left.
        let _ = std::fs::remove_dir_all(&cache);
        let slots = Mutex::default();
        Self {
            shared: Arc::new(Shared {
                backend,
                slots,
                timer,
                idle_after,
                cache,
            }),
        }
    }

    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        self.shared.backend.clone()
    }

    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        lock(&self.shared.slots).clone()
    }

    /// A loaded model by its id, name or path.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Slot>> {
        let slots = lock(&self.shared.slots);
        let by = |hit: &dyn Fn(&Slot) -> bool| slots.iter().find(|slot| hit(slot)).cloned();
        by(&|slot| slot.id == name)
            .or_else(|| by(&|slot| slot.target.name == name))
            .or_else(|| by(&|slot| slot.target.path == Path::new(name)))
    }

    pub(crate) fn find_path(&self, path: &Path) -> Option<Arc<Slot>> {
        lock(&self.shared.slots)
            .iter()
            .find(|slot| slot.target.path == path)
            .cloned()
    }

    /// The only loaded model.
    pub(crate) fn only(&self) -> Option<Arc<Slot>> {
        match &lock(&self.shared.slots)[..] {
            [slot] => Some(slot.clone()),
            _ => None,
        }
    }

    /// The row of a model: the one it has, or a new one, asleep.
    pub(crate) fn slot(&self, target: &Target, options: &OptionList) -> Arc<Slot> {
        let mut slots = lock(&self.shared.slots);
        match slots.iter().find(|slot| slot.target.path == target.path) {
            Some(slot) => slot.clone(),
            None => self.add(&mut slots, target, options),
        }
    }

    /// The same, but a row with other options is unloaded and made anew. Blocks.
    pub(crate) fn slot_with(&self, target: &Target, options: &OptionList) -> Arc<Slot> {
        let mut slots = lock(&self.shared.slots);
        let at = slots
            .iter()
            .position(|slot| slot.target.path == target.path);
        let old = match at {
            Some(at) if slots[at].options == options => return slots[at].clone(),
            Some(at) => Some(slots.remove(at)),
            None => None,
        };
        let slot = self.add(&mut slots, target, options);
        drop(slots);
        if let Some(old) = old {
            old.close();
        }
        slot
    }

    fn add(&self, slots: &mut Vec<Arc<Slot>>, target: &Target, options: &OptionList) -> Arc<Slot> {
        let taken = |id: &str| slots.iter().any(|slot| slot.id == id);
        let id = (1..)
            .map(|n| {
                if n == 1 {
                    target.name.clone()
                } else {
                    format!("{}#{n}", target.name)
                }
            })
            .find(|id| !taken(id))
            .unwrap_or_default();
        let slot = Arc::new_cyclic(|me| Slot {
            id,
            target: target.clone(),
            options: options.to_vec(),
            info: Mutex::default(),
            core: Mutex::default(),
            active: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            idle: Mutex::new(Idle {
                since: Instant::now(),
                armed: false,
            }),
            shared: Arc::downgrade(&self.shared),
            me: me.clone(),
        });
        slots.push(slot.clone());
        slot
    }

    /// Unloads for good. Blocks until what runs has ended.
    pub(crate) fn unload(&self, slot: &Arc<Slot>) {
        lock(&self.shared.slots).retain(|other| !Arc::ptr_eq(other, slot));
        slot.close();
    }

    pub(crate) fn unload_all(&self) {
        let slots = std::mem::take(&mut *lock(&self.shared.slots));
        for slot in slots {
            slot.close();
        }
        let _ = std::fs::remove_dir_all(&self.shared.cache);
    }

    /// Gives the memory of all models back that nobody uses. Blocks.
    pub(crate) fn sleep_all(&self) {
        for slot in self.slots() {
            slot.sleep();
        }
    }
}

#[cfg(test)]
#[path = "loaded_tests.rs"]
mod tests;
