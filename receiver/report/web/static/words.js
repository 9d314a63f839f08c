// How figures are written. What was not measured is never written as a number.

export const UNKNOWN = "unknown";

export function percent(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const size = 100 * value;
  return `${size === 0 ? "0" : size < 0.01 ? size.toPrecision(1) : size < 10 ? size.toFixed(2) : size.toFixed(1)} %`;
}

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return `${value !== 0 && value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}

export function bitrate(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1e6 ? `${(value / 1e6).toFixed(2)} Mbit/s` : `${(value / 1e3).toFixed(0)} kbit/s`;
}

export function count(value) {
  return value === null || value === undefined ? UNKNOWN : value.toLocaleString("en-US").replaceAll(",", "\u202f");
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

export function streamTitle(stream) {
  const restart = stream.epoch ? `, restart ${stream.epoch}` : "";
  return `${stream.media} ${stream.encoding}, ${stream.ssrc.toString(16).padStart(8, "0")}${restart}`;
}
