// light or dark: as the reader chose on any page of the course, else as the system says
(() => {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)")
  let chosen = null
  try { chosen = localStorage.getItem("theme") } catch { /* a browser that keeps nothing for files */ }
  const show = () => {
    root.dataset.theme = chosen ?? (system.matches ? "dark" : "light")
  }
  show()
  system.addEventListener("change", show)
  document.addEventListener("click", event => {
    if (!event.target.matches(".theme")) return
    chosen = root.dataset.theme === "dark" ? "light" : "dark"
    try { localStorage.setItem("theme", chosen) } catch { /* then for this page only */ }
    show()
  })
})()
