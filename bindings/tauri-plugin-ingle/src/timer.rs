//! One thread for everything that happens later: flushing a batch, unloading what is idle, forgetting old streams.
//! It sleeps until the next job is due, and without a time limit when there is none.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

type Job = Box<dyn FnOnce() + Send>;

struct Entry {
    due: Instant,
    order: u64,
    job: Job,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

#[derive(Default)]
struct Queue {
    jobs: BinaryHeap<Reverse<Entry>>,
    order: u64,
    started: bool,
    closed: bool,
    /// Times the thread woke up, for the test that it does not when idle.
    wakes: u64,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// Goes with the last clone of a timer, and ends its thread.
#[derive(Default)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        lock(&self.0.queue).closed = true;
        self.0.changed.notify_one();
    }
}

/// Runs jobs later, in order of time. The thread starts with the first job and ends with the last clone.
#[derive(Clone, Default)]
pub(crate) struct Timer {
    owner: Arc<Owner>,
}

impl Timer {
    /// Jobs must be short: what blocks belongs on a thread of its own.
    pub(crate) fn after(&self, delay: Duration, job: impl FnOnce() + Send + 'static) {
        let shared = &self.owner.0;
        let mut queue = lock(&shared.queue);
        queue.order += 1;
        let entry = Entry {
            due: Instant::now() + delay,
            order: queue.order,
            job: Box::new(job),
        };
        queue.jobs.push(Reverse(entry));
        if !queue.started {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name("ingle-timer".into());
            // Without a thread the jobs are late; the next call tries again.
            queue.started = thread.spawn(move || run(&shared)).is_ok();
        }
        drop(queue);
        shared.changed.notify_one();
    }
}

fn run(shared: &Shared) {
    let mut queue = lock(&shared.queue);
    while !queue.closed {
        queue.wakes += 1;
        let now = Instant::now();
        let wait = queue
            .jobs
            .peek()
            .map(|Reverse(entry)| entry.due.saturating_duration_since(now));
        queue = match wait {
            Some(Duration::ZERO) => {
                let job = queue.jobs.pop().map(|Reverse(entry)| entry.job);
                drop(queue);
                if let Some(job) = job {
                    // A panic must not end the thread that all streams share; the hook has reported it.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
                lock(&shared.queue)
            }
            Some(wait) => {
                let woken = shared.changed.wait_timeout(queue, wait);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner),
        };
    }
    // Jobs may own what owns a timer: they go once the lock is free.
    let jobs = std::mem::take(&mut queue.jobs);
    drop(queue);
    drop(jobs);
}

/// A lock whose holder panicked is still whole: every change under these locks is one step.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_run_in_order_of_time() {
        let timer = Timer::default();
        let (tx, rx) = mpsc::channel();
        for (ms, name) in [(60, "c"), (1, "a"), (30, "b"), (60, "d")] {
            let tx = tx.clone();
            timer.after(Duration::from_millis(ms), move || tx.send(name).unwrap());
        }
        timer.after(Duration::ZERO, || {
            panic!("on purpose: it must not end the thread")
        });
        let got: Vec<_> = (0..4)
            .map(|_| rx.recv_timeout(Duration::from_secs(5)).unwrap())
            .collect();
        assert_eq!(got, ["a", "b", "c", "d"]);
    }

    #[test]
    fn it_sleeps_when_idle() {
        let timer = Timer::default();
        let (tx, rx) = mpsc::channel();
        timer.after(Duration::ZERO, move || tx.send(()).unwrap());
        rx.recv_timeout(Duration::from_secs(5)).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let before = lock(&timer.owner.0.queue).wakes;
        std::thread::sleep(Duration::from_millis(200));
        assert!(lock(&timer.owner.0.queue).wakes <= before + 1);
    }

    #[test]
    fn the_thread_ends_with_the_last_clone() {
        let timer = Timer::default();
        timer.after(Duration::ZERO, || {});
        std::thread::sleep(Duration::from_millis(50));
        let shared = Arc::downgrade(&timer.owner.0);
        drop(timer);
        let end = Instant::now() + Duration::from_secs(5);
        while shared.strong_count() > 0 {
            assert!(Instant::now() < end, "the timer thread still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
