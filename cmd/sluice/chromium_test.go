package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// lookChromium is the path of a browser. Only a developer's machine may lack
// one: the test that needs it is skipped there.
func lookChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "" {
		t.Skip("no chromium on PATH: the pages are not tested here (apt-get install chromium)")
	}
	require.FailNow(t, "no chromium on PATH", "install it: apt-get install chromium")
	return ""
}

// browser is a tab of a headless Chromium, new and empty. It ends with the test.
type browser struct {
	t      testing.TB
	ctx    context.Context
	base   string
	mu     sync.Mutex
	errors []string // what the console was told, and what was refused
}

func startBrowser(t testing.TB, base string) *browser {
	t.Helper()
	b := &browser{t: t, base: base}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(lookChromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("hide-scrollbars", true),
	}
	allocated, freed := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closed := chromedp.NewContext(allocated)
	b.ctx = ctx
	b.do(chromedp.EmulateViewport(1280, 900))
	listening := make(chan struct{})
	console := chromedp.Console(ctx)
	go func() {
		defer close(listening)
		for message, err := range console {
			if err != nil {
				return // the tab has gone
			}
			b.hear(message)
		}
	}()
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser to end
		closed()
		freed()
		<-listening
	})
	return b
}

// under lets the browser fail a subtest until that ends.
func (b *browser) under(t *testing.T) {
	parent := b.t
	b.t = t
	t.Cleanup(func() { b.t = parent })
}

// hear notes what a developer would see in red or yellow.
func (b *browser) hear(m chromedp.ConsoleMessage) {
	switch m.Type {
	case chromedp.ConsoleWarning, chromedp.ConsoleError, chromedp.ConsoleException:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.errors = append(b.errors, m.String()+" "+m.URL)
	}
}

// requireQuiet checks that nothing went wrong in the browser so far.
func (b *browser) requireQuiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.errors, "errors on the console")
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if chromedp.FromContext(b.ctx).Target == nil {
		// The first one starts the browser, which lives as long as its context.
		require.NoError(b.t, chromedp.Do(b.ctx, actions...))
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

// open loads a page of the site, or of another with a whole address.
func (b *browser) open(path string) {
	b.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.base + path
	}
	b.do(chromedp.Navigate(path))
}

// eval is the value of an expression on the page.
func eval[T any](b *browser, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// await waits until an expression is true on the page, whatever page that is
// by then.
func (b *browser) await(expression string) {
	b.t.Helper()
	var text string
	eventually(b.t, func() bool {
		if yes, err := eval[bool](b, "Boolean("+expression+")"); err == nil && yes {
			return true
		}
		text, _ = eval[string](b, "document.body.innerText") // for the message alone
		return false
	}, func() string { return "never true: " + expression + "\n" + text })
}

// awaitText waits until an element shows a text.
func (b *browser) awaitText(selector, text string) {
	b.t.Helper()
	b.await(`document.querySelector(` + quote(selector) + `)?.innerText.includes(` + quote(text) + `)`)
}

// submit presses a button that leads to another page, and waits for that.
func (b *browser) submit(selector string) {
	b.t.Helper()
	b.await(`(() => { window.before = true; const e = document.querySelector(` + quote(selector) + `); if (!e) return false; e.click(); return true })()`)
	b.await(`!window.before && document.readyState === "complete"`)
}

// fill types into a field.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	if text == "" {
		return // it is empty as it stands
	}
	b.do(chromedp.SetValue(chromedp.CSS(selector), text))
}

// shootAt keeps a picture of another page, and comes back.
func (b *browser) shootAt(path, name string) {
	b.t.Helper()
	if os.Getenv("SLUICE_SCREENSHOTS") == "" {
		return
	}
	back, err := eval[string](b, "location.href")
	require.NoError(b.t, err)
	b.open(path)
	b.awaitText("#pulse", "live")
	b.shoot(name)
	b.open(back)
}

func quote(text string) string {
	data, _ := json.Marshal(text) // strings are always marshalled
	return string(data)
}

// shoot keeps a picture of the whole page under docs/screenshots, if
// SLUICE_SCREENSHOTS says so: in light and dark, as wide as a desk and a phone.
func (b *browser) shoot(name string) {
	b.t.Helper()
	if os.Getenv("SLUICE_SCREENSHOTS") == "" {
		return
	}
	for scheme, width := range map[string]int64{"light": 1280, "dark": 1280, "phone": 390} {
		value := scheme
		if scheme == "phone" {
			value = "light"
		}
		b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}
			_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
			return err
		}), chromedp.EmulateViewport(width, 844))
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join("../../docs/screenshots", name+"-"+scheme+".png"), picture, 0o644))
	}
	b.do(chromedp.EmulateViewport(1280, 900))
}
