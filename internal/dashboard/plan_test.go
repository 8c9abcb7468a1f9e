package dashboard_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/delivery"
	"github.com/sluicehq/sluice/ratelimit"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.limits["AC1"] = ratelimit.PoolLimits{
		Pool: "AC1", Limit: 10, Used: 4, Free: 6, Reserved: 2, NextFreeAt: noon.Add(time.Hour), Now: noon,
		Senders: []ratelimit.SenderLimits{
			{Sender: other, Limit: ratelimit.Unlimited, Free: ratelimit.Unlimited, MPS: 80},
			{Sender: sender, Limit: 100, Free: 100, MPS: 1},
		},
	}
	ask := func(category string, to ...string) string {
		return w.do("POST", "/v1/plan", fmt.Sprintf(`{"from":"+%s","to":["%s"],"category":%q}`, sender, strings.Join(to, `","`), category)).text
	}
	// One of each kind, and one named twice: known by then.
	require.JSONEq(t, `{"new":1,"known":2,"in_window":1,"opted_out":2,"free_now":4,"finishes_at":"2026-01-31T12:00:03Z"}`,
		ask("utility", "+4917000001", "+4917000001", "+4917000007", "whatsapp:+4917000008", "+4917000009", "+4917000009"))
	// Five find four places, less the reserve; the others' come back in an hour.
	five := []string{"+4917000001", "+4917000002", "+4917000003", "+4917000004", "+4917000005"}
	require.JSONEq(t, `{"new":5,"known":0,"in_window":0,"opted_out":0,"free_now":4,"finishes_at":"2026-01-31T13:00:00Z"}`,
		ask("utility", five...))
	require.JSONEq(t, `{"new":5,"known":0,"in_window":0,"opted_out":0,"free_now":6,"finishes_at":"2026-01-31T12:00:04Z"}`,
		ask("authentication", five...))
	// What waits goes before: the other sender's two. The low one has to stand
	// back, but takes the last place while the rate holds our second one up.
	w.room[other] = map[delivery.Priority]int64{delivery.Normal: 2, delivery.Low: 1}
	require.JSONEq(t, `{"new":2,"known":0,"in_window":0,"opted_out":0,"free_now":2,"finishes_at":"2026-01-31T13:00:00Z"}`,
		ask("utility", five[:2]...))
	// Everybody opted out: nothing to send, so nothing finishes.
	require.JSONEq(t, `{"new":0,"known":0,"in_window":0,"opted_out":1,"free_now":2,"finishes_at":null}`, ask("", "+4917000009"))
}

func TestPlanOfASenderThatNeverSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.limits["AC1"] = ratelimit.PoolLimits{Pool: "AC1", Limit: 250, Free: 250, Now: noon}
	require.JSONEq(t, `{"new":1,"known":0,"in_window":0,"opted_out":0,"free_now":250,"finishes_at":"2026-01-31T12:00:00Z"}`,
		w.do("POST", "/v1/plan", `{"from":"`+sender+`","to":["+4917000001"]}`).text)
	paused := w.limits["AC1"]
	paused.Paused = true
	w.limits["AC1"] = paused
	require.JSONEq(t, `{"new":1,"known":0,"in_window":0,"opted_out":0,"free_now":250,"finishes_at":null}`,
		w.do("POST", "/v1/plan", `{"from":"`+sender+`","to":["+4917000001"]}`).text)
}

func TestPlanRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	for name, c := range map[string]struct{ body, code, field string }{
		"not JSON":         {`{`, "invalid_body", ""},
		"two objects":      {`{"from":"+15550001111","to":["+4917000001"]} {}`, "invalid_body", ""},
		"an unknown field": {`{"from":"+15550001111","to":["+4917000001"],"body":"Hi"}`, "invalid_body", ""},
		"no sender":        {`{"to":["+4917000001"]}`, "invalid_field", "from"},
		"no customer":      {`{"from":"+15550001111","to":[]}`, "invalid_field", "to"},
		"a bad customer":   {`{"from":"+15550001111","to":["+4917000001","you"]}`, "invalid_field", "to"},
		"a bad category":   {`{"from":"+15550001111","to":["+4917000001"],"category":"fun"}`, "invalid_field", "category"},
	} {
		t.Run(name, func(t *testing.T) {
			w.refused(w.do("POST", "/v1/plan", c.body), 400, c.code, c.field)
		})
	}
	r := w.do("POST", "/v1/plan", `<plan/>`, "Content-Type", "text/xml")
	w.refused(r, 415, "unsupported_media_type", "")
}
