"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const make = (tag, attributes = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.append(...children);
    return element;
};
const style = (name) =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// Told apart by everybody: the palette of Okabe and Ito, without its black.
const COLOURS = ["#e69f00", "#56b4e9", "#cc79a7", "#0072b2", "#d55e00", "#b59b00", "#8a8f98"];
const MARKS = { 1: ["faster", "▲ faster"], "-1": ["slower", "▼ slower"], 0: ["", "–"] };
const isOurs = (name) => data.ours.includes(name);
// Variants of ours and of stock's are no others, and the wire has no rows.
const isOther = (name) =>
    ![...data.ours, "stock", "wire"].includes(name.split(":")[0]);
const ours = (point) => Object.keys(point.ratios).find(isOurs);
const shown = (name) => name.replaceAll("_", "-");
const figure = ([low, middle, high]) => `${middle} (${low} to ${high})`;

function commitLink(number) {
    const { commit, dirty } = data.records[number];
    const href = data.commitUrl ? data.commitUrl.replace("{}", commit) : `#record-${number}`;
    return make("a", { href }, commit.slice(0, 9) + (dirty ? "+" : ""));
}

function showRecords() {
    data.records.forEach((record, number) => {
        const versions = Object.entries(record.versions).map((each) => each.join(" "));
        byId("records").append(make("li", { id: `record-${number}` },
            make("strong", {}, record.commit.slice(0, 9)),
            ` ${record.dirty ? "with changes " : ""}${record.date.replace("T", " ")}: `,
            record.subject, make("br"),
            [`${record.rounds} rounds`, record.server, record.machine.python, ...versions,
                record.load === null ? "" : `load ${record.load}`].filter(Boolean).join(", ")));
    });
}

// A table whose columns sort by a press of their heading.
function fillTable(table, headings, rows) {
    const head = table.tHead.rows[0], body = table.tBodies[0];
    head.replaceChildren(...headings.map((heading, column) => {
        const cell = make("th", { scope: "col" });
        const button = make("button", { type: "button" }, heading);
        button.addEventListener("click", () => {
            const up = cell.ariaSort === "descending";
            for (const other of head.cells) other.ariaSort = "none";
            cell.ariaSort = up ? "ascending" : "descending";
            const key = (row) => row.keys[column];
            const sorted = [...rows].sort((a, b) =>
                (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (up ? 1 : -1));
            body.replaceChildren(...sorted.map((row) => row.element));
        });
        cell.ariaSort = "none";
        cell.append(button);
        return cell;
    }));
    body.replaceChildren(...rows.map((row) => row.element));
}

function row(cells, keys) {
    const element = make("tr");
    cells.forEach((cell, column) => {
        const made = make(column ? "td" : "th", column ? {} : { scope: "row" });
        made.append(cell);
        element.append(made);
    });
    return { element, keys };
}

function mark(change) {
    const [className, text] = MARKS[change];
    return make("span", { className }, text);
}

function showOverview(cases) {
    const rows = Object.entries(cases).map(([name, points]) => {
        const last = points.at(-1), mine = ours(last), ratio = last.ratios[mine];
        const others = Object.entries(last.ratios).filter(([each]) => isOther(each));
        const [best, most] = others.reduce(
            (a, [each, r]) => (r[1] > a[1] ? [each, r[1]] : a), ["–", 0]);
        const link = make("a", { href: `#${name}` }, data.cases[name].title);
        return row(
            [link, name.split("/")[0], ratio ? figure(ratio) : "–", mark(last.change),
                most ? `${most} ${shown(best)}` : "–", commitLink(last.record)],
            [data.cases[name].title, name, ratio ? ratio[1] : 0, last.change, most,
                last.record]);
    });
    fillTable(byId("overview"),
        ["case", "suite", "× stock", "since before", "best other", "commit"], rows);
}

function plot(holder, name, points) {
    const names = [...new Set(points.flatMap((point) => Object.keys(point.ratios)))]
        .sort((a, b) => isOurs(b) - isOurs(a) || (a < b ? -1 : 1));
    const mine = names.find(isOurs);
    const value = (point, each, part) => point.ratios[each]?.[part] ?? null;
    const columns = [points.map((_, index) => index)];
    const series = [{
        label: "commit",
        value: (_, index) => index === null || index === undefined ? "" :
            data.records[points[index].record].commit.slice(0, 9),
    }];
    const bands = [];
    if (mine) {
        for (const part of [2, 0]) {
            columns.push(points.map((point) => value(point, mine, part)));
            series.push({ label: part ? "most" : "least", stroke: "transparent",
                points: { show: false } });
        }
        bands.push({ series: [1, 2], fill: style("--band") });
    }
    names.forEach((each, index) => {
        columns.push(points.map((point) => value(point, each, 1)));
        const stroke = isOurs(each) ? style("--ours") : COLOURS[index % COLOURS.length];
        series.push({ label: shown(each), stroke, width: isOurs(each) ? 3 : 1.5,
            dash: index > COLOURS.length ? [4, 3] : [], spanGaps: true,
            // It would press all others down; a press on its name shows it.
            show: each !== "wire",
            points: { show: true, size: isOurs(each) ? 9 : 6, fill: stroke } });
    });
    const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 },
        ticks: { stroke: style("--line") } };
    const made = new uPlot({
        width: Math.max(holder.clientWidth, 280), height: 240, series, bands,
        scales: { x: { time: false, range: [-0.5, points.length - 0.5] },
            y: { range: (_, low, high) => [Math.min(0, low), Math.max(high * 1.1, 1.2)] } },
        axes: [{ ...axis, splits: () => points.map((_, index) => index),
            values: (_, all) => all.map((i) =>
                points[i] ? data.records[points[i].record].commit.slice(0, 7) : "") },
        { ...axis, label: `× ${shown(data.cases[name].base)}`, labelFont: "14px system-ui" }],
        cursor: { drag: { x: false, y: false } },
    }, columns, holder);
    made.over.addEventListener("click", () => {
        const index = made.cursor.idx;
        if (points[index]) commitLink(points[index].record).click();
    });
    holder.classList.toggle("banded", Boolean(mine));
    return made;
}

let plots = [];

function showCases(cases) {
    for (const [made] of plots) made.destroy();
    plots = [];
    const suites = {};
    byId("cases").replaceChildren();
    for (const [name, points] of Object.entries(cases)) {
        const suite = name.split("/")[0];
        if (!suites[suite]) {
            suites[suite] = make("section", {}, make("h2", {}, suite));
            byId("cases").append(suites[suite]);
        }
        const { title, per, base } = data.cases[name];
        const last = points.at(-1), mine = ours(last);
        const said = mine ? `${figure(last.ratios[mine])} times as fast as ${base}` : "";
        const holder = make("div", { className: "plot" });
        holder.setAttribute("role", "img");
        holder.setAttribute("aria-label", `${title}: ${said}. The table has all figures.`);
        const table = make("table", {}, make("caption", {}, `${title}, × ${shown(base)}`),
            make("thead", {}, make("tr")), make("tbody"));
        const names = [...new Set(points.flatMap((point) => Object.keys(point.ratios)))];
        fillTable(table, ["commit", "date", "since before", ...names.map(shown)],
            points.map((point) => {
                const record = data.records[point.record];
                return row(
                    [commitLink(point.record), record.date.slice(0, 10), mark(point.change),
                        ...names.map((each) =>
                            point.ratios[each] ? figure(point.ratios[each]) : "–")],
                    [point.record, record.date, point.change,
                        ...names.map((each) => point.ratios[each]?.[1] ?? 0)]);
            }));
        const wide = make("div", { className: "wide", tabIndex: 0 }, table);
        wide.setAttribute("role", "region");
        wide.setAttribute("aria-label", `All figures of ${title}`);
        suites[suite].append(make("article", { id: name }, make("h3", {}, title),
            make("p", { className: "per" }, `${name}, per ${per}`), holder,
            make("details", {}, make("summary", {}, "Table"), wide)));
        plots.push([plot(holder, name, points), holder]);
    }
}

function show() {
    const all = data.points[byId("clock").value][byId("kind").value] ?? {};
    const wanted = byId("find").value.trim().toLowerCase();
    const cases = Object.fromEntries(Object.entries(all).filter(([name]) =>
        `${name} ${data.cases[name].title}`.toLowerCase().includes(wanted)));
    showOverview(cases);
    showCases(cases);
}

byId("kind").append(...Object.keys(data.points.cpu).reverse().map((kind) =>
    make("option", { value: kind }, kind)));
for (const id of ["kind", "clock", "find"]) byId(id).addEventListener("input", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
addEventListener("resize", () => {
    for (const [made, holder] of plots)
        made.setSize({ width: Math.max(holder.clientWidth, 280), height: 240 });
});
showRecords();
show();
