use super::*;
use crate::backend::{EventSink, Request};
use std::sync::mpsc;

/// Counts what is asked of it; "loads" in no time.
#[derive(Default)]
struct Fake {
    loads: AtomicUsize,
    live: Arc<AtomicUsize>,
    dead: Arc<AtomicBool>,
    restored: Arc<AtomicUsize>,
    slow: Mutex<Option<mpsc::Receiver<()>>>,
}

struct FakeModel {
    info: Value,
    live: Arc<AtomicUsize>,
    dead: Arc<AtomicBool>,
    restored: Arc<AtomicUsize>,
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend for Fake {
    fn load(
        &self,
        path: &Path,
        _: &OptionList,
        progress: LoadProgress<'_>,
    ) -> Result<Arc<dyn LoadedModel>> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        if path.ends_with("bad") {
            return Err(Error::new("bad_file", "bad", ""));
        }
        if let Some(gate) = lock(&self.slow).take() {
            while gate.try_recv().is_err() {
                if progress("reading", 0.5).is_break() {
                    return Err(Error::cancelled("load"));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.dead.store(false, Ordering::SeqCst);
        self.live.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(FakeModel {
            info: serde_json::json!({ "name": "fake" }),
            live: self.live.clone(),
            dead: self.dead.clone(),
            restored: self.restored.clone(),
        }))
    }
    fn devices(&self) -> Result<Value> {
        Ok(Value::Null)
    }
    fn doctor(&self) -> Result<Value> {
        Ok(Value::Null)
    }
}

impl LoadedModel for FakeModel {
    fn info(&self) -> &Value {
        &self.info
    }
    fn submit(&self, _: &str, _: EventSink) -> Result<Arc<dyn Request>> {
        Err(Error::internal("not in this test"))
    }
    fn embed(&self, _: &str) -> Result<Vec<Vec<f32>>> {
        Ok(Vec::new())
    }
    fn tokenize(&self, _: &str, _: bool, _: bool) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }
    fn detokenize(&self, _: &[i32], _: bool) -> Result<String> {
        Ok(String::new())
    }
    fn template(&self, _: &str) -> Result<String> {
        Ok(String::new())
    }
    fn save(&self, path: &Path) -> Result<()> {
        std::fs::write(path, "kv").map_err(|error| Error::io("save", &error))
    }
    fn restore(&self, path: &Path) -> Result<()> {
        assert_eq!(std::fs::read_to_string(path).unwrap(), "kv");
        self.restored.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn doctor(&self) -> Result<Value> {
        Ok(Value::Null)
    }
    fn alive(&self) -> bool {
        !self.dead.load(Ordering::SeqCst)
    }
    fn cancel_all(&self) {}
}

fn models(idle_ms: Option<u64>) -> (Arc<Fake>, Models) {
    let fake = Arc::new(Fake::default());
    let cache = std::env::temp_dir().join(crate::streams::new_id("ingle-test").unwrap());
    let idle = idle_ms.map(Duration::from_millis);
    let models = Models::new(fake.clone(), Timer::default(), idle, cache);
    (fake, models)
}

fn target(name: &str) -> Target {
    Target {
        name: name.into(),
        path: format!("/m/{name}").into(),
        origin: Origin::File,
    }
}

fn on(_: &str, _: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < end, "waited 10 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn one_model_is_shared() {
    let (fake, models) = models(None);
    let slot = models.slot(&target("a"), &[]);
    assert!(slot.try_awake().is_none());
    assert!(slot.info().is_none());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let slot = slot.clone();
            std::thread::spawn(move || drop(slot.wake(&mut on).unwrap()))
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert!(slot.try_awake().is_some());
    assert_eq!(fake.loads.load(Ordering::SeqCst), 1);
    assert!(Arc::ptr_eq(&slot, &models.slot(&target("a"), &[])));
    assert!(Arc::ptr_eq(&slot, &models.find("/m/a").unwrap()));
    assert!(Arc::ptr_eq(&slot, &models.only().unwrap()));
    assert_eq!(slot.info().unwrap()["name"], "fake");
}

#[test]
fn names_stay_apart() {
    let (_, models) = models(None);
    let a = models.slot(&target("a"), &[]);
    let other = Target {
        path: "/other/a".into(),
        ..target("a")
    };
    let b = models.slot(&other, &[]);
    assert_eq!((a.id.as_str(), b.id.as_str()), ("a", "a#2"));
    assert!(Arc::ptr_eq(&models.find("a#2").unwrap(), &b));
    assert!(models.only().is_none());
}

#[test]
fn other_options_load_anew() {
    let (fake, models) = models(None);
    let options = [("threads".to_string(), "1".to_string())];
    let a = models.slot(&target("a"), &[]);
    drop(a.wake(&mut on).unwrap());
    assert!(Arc::ptr_eq(&a, &models.slot(&target("a"), &options)));
    let b = models.slot_with(&target("a"), &options);
    assert!(!Arc::ptr_eq(&a, &b));
    assert_eq!(fake.live.load(Ordering::SeqCst), 0);
    assert_eq!(a.wake(&mut on).err().unwrap().code, "cancelled");
    drop(b.wake(&mut on).unwrap());
    assert_eq!(models.slots().len(), 1);
    assert!(Arc::ptr_eq(&b, &models.slot_with(&target("a"), &options)));
}

#[test]
fn idle_models_sleep_and_wake_with_their_conversation() {
    let (fake, models) = models(Some(30));
    let slot = models.slot(&target("a"), &[]);
    let awake = slot.wake(&mut on).unwrap();
    std::thread::sleep(Duration::from_millis(80));
    assert_eq!(fake.live.load(Ordering::SeqCst), 1, "it is in use");
    drop(awake);
    wait_for(|| fake.live.load(Ordering::SeqCst) == 0);
    assert_eq!(fake.restored.load(Ordering::SeqCst), 0);
    assert_eq!(models.slots().len(), 1);
    let awake = slot.wake(&mut on).unwrap();
    assert_eq!(fake.restored.load(Ordering::SeqCst), 1);
    assert_eq!(std::fs::read_dir(&models.shared.cache).unwrap().count(), 0);
    drop(awake);
    wait_for(|| fake.live.load(Ordering::SeqCst) == 0);
    wait_for(|| std::fs::read_dir(&models.shared.cache).unwrap().count() == 1);
    models.unload(&slot);
    assert_eq!(std::fs::read_dir(&models.shared.cache).unwrap().count(), 0);
    models.unload_all();
    assert!(!models.shared.cache.exists());
}

#[test]
fn unloading_ends_a_load() {
    let (fake, models) = models(None);
    let (gate, wait) = mpsc::channel();
    *lock(&fake.slow) = Some(wait);
    let slot = models.slot(&target("a"), &[]);
    let loader = slot.clone();
    let thread = std::thread::spawn(move || loader.wake(&mut on).err().unwrap());
    wait_for(|| fake.loads.load(Ordering::SeqCst) == 1);
    assert!(slot.try_awake().is_none());
    models.unload(&slot);
    assert_eq!(thread.join().unwrap().code, "cancelled");
    assert!(models.slots().is_empty());
    drop(gate);
}

#[test]
fn a_failed_load_can_be_tried_again_and_a_crash_heals() {
    let (fake, models) = models(None);
    let bad = models.slot(&target("bad"), &[]);
    assert_eq!(bad.wake(&mut on).err().unwrap().code, "bad_file");
    assert!(models.slots().is_empty());
    assert_eq!(bad.wake(&mut on).err().unwrap().code, "bad_file");
    let slot = models.slot(&target("a"), &[]);
    drop(slot.wake(&mut on).unwrap());
    fake.dead.store(true, Ordering::SeqCst);
    assert!(slot.try_awake().is_none());
    drop(slot.wake(&mut on).unwrap());
    assert_eq!(fake.live.load(Ordering::SeqCst), 1);
    models.sleep_all();
    assert_eq!(fake.live.load(Ordering::SeqCst), 0);
}
