"use strict";
(() => {
  const body = document.body;
  const byId = (id) => document.getElementById(id);

  const days = Math.floor((Date.now() - Date.parse(body.dataset.updated)) / 86400000);
  if (days >= Number(body.dataset.staleAfterDays)) {
    const warning = byId("stale");
    warning.textContent = `This page is ${days} days old. Ask for a newer one before you rely on it.`;
    warning.hidden = false;
  }

  // Paper has nothing to click: what is folded is printed too, and folded again.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));

  const table = byId("top");
  if (table) {
    const rows = [...table.tBodies[0].rows];
    const heads = [...table.tHead.rows[0].cells];
    const department = byId("department");
    const search = byId("search");
    const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const texts = new Map(rows.map((row) => [row, fold(row.textContent)]));
    const order = new Intl.Collator("en", { sensitivity: "base" });
    let sorted = { column: -1, ascending: true };

    const remember = () => {
      const state = { department: department.value, search: search.value, sorted };
      try { sessionStorage.setItem("top", JSON.stringify(state)); } catch { /* not from a file, in some browsers */ }
    };
    const filter = () => {
      const words = fold(search.value).split(/\s+/).filter(Boolean);
      let found = 0;
      rows.forEach((row) => {
        const isShown = (!department.value || row.cells[1].textContent === department.value)
          && words.every((word) => texts.get(row).includes(word));
        row.hidden = !isShown;
        found += isShown ? 1 : 0;
      });
      byId("found").textContent = `${found.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
      remember();
    };
    const sort = (column, ascending) => {
      const isNumber = heads[column].dataset.kind === "number";
      const compare = (one, other) => isNumber
        ? Number(one.cells[column].textContent) - Number(other.cells[column].textContent)
        : order.compare(one.cells[column].textContent, other.cells[column].textContent);
      const inOrder = [...rows].sort((one, other) => (ascending ? 1 : -1) * compare(one, other));
      heads.forEach((head) => head.removeAttribute("aria-sort"));
      heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
      table.tBodies[0].append(...inOrder);
      sorted = { column, ascending };
      remember();
    };

    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      sort(column, sorted.column === column ? !sorted.ascending : true);
    }));
    department.addEventListener("change", filter);
    search.addEventListener("input", filter);

    let kept = null;
    try { kept = JSON.parse(sessionStorage.getItem("top")); } catch { /* nothing is kept */ }
    if (kept) {
      department.value = kept.department;
      if (department.selectedIndex < 0) department.value = "";
      search.value = kept.search;
      if (kept.sorted.column >= 0) sort(kept.sorted.column, kept.sorted.ascending);
      filter();
    }
  }

  // Served on this machine, the page renews itself; as a file it asks nobody.
  if (["127.0.0.1", "localhost", "[::1]"].includes(location.hostname)) {
    // The server's tag is the generation and a mark of the content; the page knows only its own generation.
    const generation = document.querySelector("meta[name=generation]").content;
    let version = null;
    const look = async () => {
      try {
        const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
        const found = answer.headers.get("ETag");
        if (!found) return;
        if (version ? found !== version : !found.startsWith(`"${generation}-`)) location.reload();
        version = found;
      } catch { /* the server is gone; perhaps it comes back */ }
    };
    look();
    setInterval(look, 3000);
  }
})();
