// A line over time, drawn by uPlot, which is loaded with the first chart.
import { number } from "./i18n.js";
import { html, useEffect, useRef } from "./lib.js";

/** A line over time. @param points [seconds since 1970, value] each, oldest first. */
export function Chart({ points, label }) {
  const box = useRef();
  useEffect(() => {
    const element = box.current;
    const colour = (property) => getComputedStyle(document.documentElement).getPropertyValue(property);
    const probe = document.createElement("i"); // light-dark() is resolved in a used value only
    element.append(probe);
    const used = (property) => {
      probe.style.color = colour(property);
      return getComputedStyle(probe).color;
    };
    const [line, grid, text] = [used("--accent"), used("--line"), used("--soft")];
    probe.remove();
    const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    let chart;
    const draw = ({ default: uPlot }) => new uPlot({
      width: element.clientWidth, height: 180, legend: { show: false }, cursor: { y: false },
      axes: [axis, { ...axis, size: 74, values: (_, values) => values.map((value) => number(String(value))) }],
      series: [{}, { stroke: line, width: 2, fill: line.replace("rgb(", "rgba(").replace(")", ", 0.12)"), points: { show: points.length < 3 } }],
    }, [points.map(([at]) => at), points.map(([, value]) => value)], element);
    const watcher = new ResizeObserver(() => chart?.setSize({ width: element.clientWidth, height: 180 }));
    watcher.observe(element);
    let wanted = true;
    import("./vendor/uplot.js").then((library) => wanted && (chart = draw(library))).catch(() => {});
    return () => {
      wanted = false;
      watcher.disconnect();
      chart?.destroy();
    };
  }, [points.length, points.at(-1)?.[0]]);
  return html`<div class="chart" dir="ltr" ref=${box} role="img" aria-label=${label}></div>`;
}
