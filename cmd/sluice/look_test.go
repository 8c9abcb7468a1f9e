package main_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// unreadable lists what a person could not read or reach on the page as it is laid
// out now: what sticks out of the width, text with too little contrast (WCAG AA),
// fields and buttons without a name, and, on a phone, what is cut off.
const unreadable = `(() => {
  const found = [], shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && e.getClientRects().length > 0;
  const name = e => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + (e.className && e.className.split ? "." + e.className.split(" ").join(".") : "") + " " + JSON.stringify((e.innerText || "").slice(0, 40));
  const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (over > 0) found.push("the page is " + over + " px wider than the screen");
  if (innerWidth < 500) for (const e of document.querySelectorAll("body *")) {
    if (shown(e) && !e.closest("details, pre") && e.scrollWidth > e.clientWidth + 1 && /auto|scroll|hidden/.test(getComputedStyle(e).overflowX) && e.clientWidth > 60 && getComputedStyle(e).textOverflow !== "ellipsis")
      found.push("cut off at " + e.clientWidth + " of " + e.scrollWidth + " px: " + name(e));
  }
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return c.startsWith("color(srgb") ? [m[0]*255, m[1]*255, m[2]*255, m[3] ?? 1] : [m[0], m[1], m[2], m[3] ?? 1]; };
  const over2 = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { const layers = []; for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) layers.push(c); if (c[3] === 1) break; } return layers.reverse().reduce((b, a) => over2(a, b), [255, 255, 255, 1]); };
  for (const e of document.querySelectorAll("body *")) {
    if (!shown(e)) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    if (e.closest("svg, [disabled], .vh, script, style")) continue;
    const style = getComputedStyle(e), behind = ground(e), front = over2(parse(style.color), behind);
    const [a, b] = [light(front), light(behind)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
    if (ratio < (large ? 3 : 4.5)) found.push("contrast " + ratio.toFixed(2) + ": " + name(e));
  }
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href]")) {
    if (!shown(e)) continue;
    const label = e.getAttribute("aria-label") || (e.labels && [...e.labels].some(l => l.innerText.trim())) || e.innerText.trim() || e.title;
    if (!label) found.push("without a name: " + name(e));
  }
  return found.join("\n");
})()`

// look lays the page out as a person has it.
func (b *browser) look(scheme string, width int64) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}), chromedp.EmulateViewport(width, 844))
}

// requireReadable looks at a page in light and dark, at a desk, on a phone and
// on the smallest screen there is.
func (b *browser) requireReadable(name string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390, 320} {
			b.look(scheme, width)
			found, err := eval[string](b, unreadable)
			require.NoError(b.t, err)
			if dir := os.Getenv("SLUICE_LOOK"); dir != "" {
				picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
				require.NoError(b.t, err)
				require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+"-"+scheme+"-"+map[int64]string{1280: "desk", 390: "phone", 320: "small"}[width]+".png"), picture, 0o644))
			}
			if found != "" {
				b.t.Errorf("%s, %s, %d px wide:\n%s", name, scheme, width, found)
			}
		}
	}
	b.look("light", 1280)
}

// TestPagesCanBeRead by anybody, with something on them and with nothing.
func TestPagesCanBeRead(t *testing.T) {
	t.Parallel()
	h := staged(t)
	long := "an-id-of-the-greatest-length-that-there-may-be-" + "0123456789.0123456789.0123456789.0123456789.0123456789.0123456789.0123456789"
	h.api.post(fields{"id": long, "from": whatsapp(beta), "to": customer(400), "body": "Hi there", "metadata": fields{"a-long-name-of-a-field": long + long}})
	h.api.await(long, "failed")
	h.provider.faults(fields{"reset": 1})
	h.api.post(notice("doubtful", beta, 401).with("on_unknown", "hold"))
	h.api.await("doubtful", "held")
	h.provider.faults(fields{})
	b := startBrowser(t, h.API)
	b.open("/sign-in")
	b.requireReadable("sign-in")
	b.signIn("/", operatorKey, "Ada")
	b.open("/jobs/doubtful")
	b.awaitText("#job", "not known") // and not: not sent
	for name, path := range map[string]string{
		"overview": "/?span=15m", "senders": "/senders", "jobs": "/jobs", "job": "/jobs/order-1", "job-failed": "/jobs/chat-1", "job-long": "/jobs/" + long, "job-parked": "/jobs/order-22", "job-held": "/jobs/doubtful",
		"trouble": "/trouble", "trouble-code": "/trouble?code=63016", "live": "/live", "nobody": "/jobs/nobody", "nothing": "/jobs?find=nobody", "phone": "/phone/",
	} {
		b.open(path)
		b.requireReadable(name)
	}
}

// TestPagesByKeyboard: what a mouse can do, Tab and Enter can, and one sees where
// one is.
func TestPagesByKeyboard(t *testing.T) {
	t.Parallel()
	lookChromium(t)
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "10m"))
	h.api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"limit": 20}, nil)
	h.api.post(notice("order-1", alpha, 1))
	h.api.await("order-1", "delivered", "read")
	b := startBrowser(t, h.API)
	b.open("/senders")
	b.awaitText("#s"+alpha, "active")
	b.do(chromedp.KeyEvent(kb.Tab))
	b.await(`document.activeElement.matches(".skip") && document.activeElement.getBoundingClientRect().top >= 0`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(`location.hash === "#main"`)
	// From there on every stop shows an outline, until the sender's menu.
	menu := "#d" + alpha + " > summary"
	for range 30 {
		b.do(chromedp.KeyEvent(kb.Tab))
		b.await(`getComputedStyle(document.activeElement).outlineStyle !== "none" && parseFloat(getComputedStyle(document.activeElement).outlineWidth) > 0`)
		if there, err := eval[bool](b, `document.activeElement.matches(`+quote(menu)+`)`); err == nil && there {
			break
		}
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(`document.querySelector(` + quote("#d"+alpha) + `).open`)
	b.do(chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("complaints"), chromedp.KeyEvent(kb.Enter))
	b.awaitText("#s"+alpha, "complaints")
	require.Equal(t, "paused", h.sender(alpha).State)
	b.requireQuiet()
}

// TestEmptyPagesSaySo before the first job.
func TestEmptyPagesSaySo(t *testing.T) {
	t.Parallel()
	lookChromium(t)
	h := startHouse(t, quick(t))
	b := startBrowser(t, h.API)
	for path, says := range map[string]string{
		"/": "Nothing has been sent yet", "/senders": "No sender is known yet", "/jobs": "No jobs yet",
		"/trouble": "Nothing is in doubt", "/live": "Nothing has happened", "/phone/": "No message has arrived yet",
	} {
		b.open(path)
		b.awaitText("body", says)
		b.requireReadable("empty-" + strings.Trim(path, "/"))
	}
	b.open("/")
	b.awaitText("#welcome pre", h.API) // what it tells to run would arrive here
}
