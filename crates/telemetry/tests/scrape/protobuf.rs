//! Reads `io.prometheus.client.MetricFamily` messages: just the fields that are written.

#[derive(Default)]
pub struct Family {
    pub name: String,
    pub kind: u64,
    pub metrics: Vec<Metric>,
}

#[derive(Default)]
pub struct Metric {
    /// `a=b,c=d`
    pub labels: String,
    pub value: f64,
    pub histogram: Option<Histogram>,
}

#[derive(Default)]
pub struct Histogram {
    pub count: u64,
    pub schema: i64,
    zero_count: u64,
    spans: Vec<(i64, u64)>,
    deltas: Vec<i64>,
}

impl Histogram {
    /// Index and count of each native bucket.
    pub fn native_buckets(&self) -> Vec<(i64, i64)> {
        let (mut index, mut count, mut deltas) = (0, 0, self.deltas.iter());
        let mut buckets = Vec::new();
        for (offset, length) in &self.spans {
            index += offset;
            for _ in 0..*length {
                count += deltas.next().expect("a delta per bucket");
                buckets.push((index, count));
                index += 1;
            }
        }
        assert!(deltas.next().is_none(), "a bucket per delta");
        buckets
    }

    pub fn native_count(&self) -> u64 {
        let sum: i64 = self.native_buckets().iter().map(|(_, count)| count).sum();
        self.zero_count + u64::try_from(sum).unwrap()
    }
}

pub fn families(mut bytes: &[u8]) -> Vec<Family> {
    let mut families = Vec::new();
    while !bytes.is_empty() {
        let length = varint(&mut bytes) as usize;
        let (message, rest) = bytes.split_at(length);
        bytes = rest;
        let mut family = Family::default();
        for (field, value) in fields(message) {
            match (field, value) {
                (1, Value::Bytes(name)) => family.name = text(name),
                (3, Value::Number(kind)) => family.kind = kind,
                (4, Value::Bytes(message)) => family.metrics.push(metric(message)),
                (2 | 5, Value::Bytes(_)) => {}
                _ => panic!("field {field} of a family"),
            }
        }
        families.push(family);
    }
    families
}

fn metric(message: &[u8]) -> Metric {
    let mut metric = Metric::default();
    for (field, value) in fields(message) {
        match (field, value) {
            (1, Value::Bytes(pair)) => {
                let parts: Vec<_> = fields(pair).map(|(_, value)| text(value.bytes())).collect();
                if !metric.labels.is_empty() {
                    metric.labels.push(',');
                }
                metric.labels.push_str(&parts.join("="));
            }
            (2 | 3, Value::Bytes(number)) => {
                metric.value = fields(number).next().expect("a value").1.double();
            }
            (7, Value::Bytes(message)) => metric.histogram = Some(histogram(message)),
            _ => panic!("field {field} of a metric"),
        }
    }
    metric
}

fn histogram(message: &[u8]) -> Histogram {
    let mut histogram = Histogram::default();
    for (field, value) in fields(message) {
        match (field, value) {
            (1, Value::Number(count)) => histogram.count = count,
            (5, Value::Number(schema)) => histogram.schema = zigzag(schema),
            (7, Value::Number(count)) => histogram.zero_count = count,
            (12, Value::Bytes(span)) => {
                let parts: Vec<_> = fields(span).map(|(_, value)| value.number()).collect();
                histogram.spans.push((zigzag(parts[0]), parts[1]));
            }
            (13, Value::Number(delta)) => histogram.deltas.push(zigzag(delta)),
            (2 | 6, Value::Double(_)) | (3, Value::Bytes(_)) => {}
            _ => panic!("field {field} of a histogram"),
        }
    }
    histogram
}

#[derive(Clone, Copy)]
enum Value<'m> {
    Number(u64),
    Double(f64),
    Bytes(&'m [u8]),
}

impl<'m> Value<'m> {
    fn number(self) -> u64 {
        let Self::Number(number) = self else {
            panic!("not a number")
        };
        number
    }

    fn double(self) -> f64 {
        let Self::Double(double) = self else {
            panic!("not a double")
        };
        double
    }

    fn bytes(self) -> &'m [u8] {
        let Self::Bytes(bytes) = self else {
            panic!("not bytes")
        };
        bytes
    }
}

fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut message)),
            1 => {
                let (bytes, rest) = message.split_at(8);
                message = rest;
                Value::Double(f64::from_le_bytes(bytes.try_into().unwrap()))
            }
            2 => {
                let length = varint(&mut message) as usize;
                let (bytes, rest) = message.split_at(length);
                message = rest;
                Value::Bytes(bytes)
            }
            wire => panic!("wire type {wire}"),
        };
        Some((key >> 3, value))
    })
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a whole varint");
        *bytes = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            break;
        }
    }
    value
}

fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
