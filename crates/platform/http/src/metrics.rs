//! Counts and times of requests, in Prometheus' text format.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use parking_lot::Mutex;

/// Upper bounds of the latency buckets, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];

/// A source of further metrics.
type Source = Box<dyn Fn(&mut String) + Send + Sync>;

/// How often each bucket was not exceeded, how often in all, and the sum in seconds.
type Latency = ([u64; BUCKETS.len()], u64, f64);

/// What has been served.
#[derive(Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, &'static str, u16), u64>>,
    latency: Mutex<BTreeMap<&'static str, Latency>>,
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    /// Adds lines of another part to every answer; `write` appends them, newline included.
    pub fn source(&self, write: impl Fn(&mut String) + Send + Sync + 'static) {
        self.sources.lock().push(Box::new(write));
    }

    pub(crate) fn served(&self, service: &'static str, method: &'static str, status: u16, took: Duration) {
        *self.requests.lock().entry((service, method, status)).or_default() += 1;
        let mut latency = self.latency.lock();
        let (buckets, count, sum) = latency.entry(service).or_default();
        let secs = took.as_secs_f64();
        for (bucket, bound) in buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(secs <= bound);
        }
        *count += 1;
        *sum += secs;
    }

    /// All of it as text.
    pub fn render(&self) -> String {
        let mut out = String::from("# TYPE pileus_http_requests_total counter\n");
        for ((service, method, status), n) in &*self.requests.lock() {
            let labels = format!("service=\"{service}\",method=\"{method}\",status=\"{status}\"");
            let _ = writeln!(out, "pileus_http_requests_total{{{labels}}} {n}");
        }
        out.push_str("# TYPE pileus_http_request_duration_seconds histogram\n");
        let name = "pileus_http_request_duration_seconds";
        for (service, (buckets, count, sum)) in &*self.latency.lock() {
            for (n, bound) in buckets.iter().zip(BUCKETS) {
                let _ = writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"{bound}\"}} {n}");
            }
            let _ = writeln!(out, "{name}_bucket{{service=\"{service}\",le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{service=\"{service}\"}} {sum}");
            let _ = writeln!(out, "{name}_count{{service=\"{service}\"}} {count}");
        }
        for source in &*self.sources.lock() {
            source(&mut out);
        }
        out
    }
}
