// From the points that the server sends to what the charts draw. No page, no clock: numbers in, numbers out.

export const RATIOS = [
  { key: "network_loss", field: "lost_network", name: "Network loss", means: "lost on the way" },
  { key: "local_drop", field: "lost_local", name: "Local drop", means: "dropped by this machine" },
  { key: "late", field: "late", name: "Late", means: "came after their moment" },
  { key: "recovered", field: "recovered", name: "Recovered", means: "repaired in time" },
  { key: "effective_loss", field: "missed", name: "Effective loss", means: "what viewer and listener lost" },
];

export const RECENT = 10; // seconds that a share on the charts is taken over
const KEPT = 900;

/** The points of all streams, a bounded time of them. */
export class Points {
  constructor() {
    this.fields = [];
    this.points = [];
  }

  begin({ fields, points }) {
    this.fields = fields;
    this.points = points;
  }

  add(point) {
    const last = this.points.at(-1);
    if (last && point.t <= last.t) return;
    this.points.push(point);
    if (this.points.length > KEPT) this.points.shift();
  }

  /** Rows of one stream as objects, the oldest first; before it began there are none. */
  of(stream) {
    const rows = [];
    for (const { t, rows: all } of this.points) {
      const row = all.find(([name]) => name === stream);
      if (!row) continue;
      const values = { t };
      this.fields.forEach((field, index) => { values[field] = row[index + 1]; });
      rows.push(values);
    }
    return rows;
  }
}

/** The share of `field` in the packets of the last RECENT seconds at each row; null where there were none. */
export function shares(rows, field) {
  return windowed(rows, (now, before) => {
    const packets = now.span - before.span;
    return packets > 0 ? Math.max(0, now[field] - before[field]) / packets : null;
  });
}

/** The mean delay of what the buffer handed on in the last RECENT seconds, ms. */
export function bufferDelay(rows) {
  const total = (row) => (row.buffer_delay_mean_ms ?? 0) * row.emitted;
  return windowed(rows, (now, before) => {
    const emitted = now.emitted - before.emitted;
    return emitted > 0 ? Math.max(0, total(now) - total(before)) / emitted : null;
  });
}

/** A figure as it is. */
export function plain(rows, field, scale = 1) {
  return rows.map((row) => ({ x: row.t, y: row[field] === null ? null : row[field] * scale }));
}

function windowed(rows, figure) {
  let start = 0;
  return rows.map((now, index) => {
    while (start < index - 1 && rows[start + 1].t <= now.t - RECENT) start += 1;
    return { x: now.t, y: index > 0 ? figure(now, rows[start]) : null };
  });
}
