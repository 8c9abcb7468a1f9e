package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// known is a sender as GET /v1/senders/{sender} tells it.
type known struct {
	Sender, Account, State, Quality, Status string
	Registered                              bool
	Limit                                   any
	LimitFrom                               string `json:"limit_from"`
	Reasons                                 []string
}

// sender waits until a sender is as it should be.
func (s *site) sender(token string, so func(known) bool) known {
	s.t.Helper()
	var k known
	eventually(s.t, func() bool {
		a := s.do(http.MethodGet, "/v1/senders/"+token, nil)
		if a.status != http.StatusOK {
			return false
		}
		k = known{}
		s.must(http.MethodGet, "/v1/senders/"+token, nil, &k)
		return so(k)
	}, func() string { return fmt.Sprintf("%+v", k) })
	return k
}

// count is how many jobs of the campaign are in a state.
func (s *site) count(state string) int {
	s.t.Helper()
	var page struct{ Jobs []record }
	s.must(http.MethodGet, "/v1/jobs?status="+state+"&limit=1000", nil, &page)
	return len(page.Jobs)
}

// followed is a house whose windows do not end during the test and that asks
// the provider for its senders all the time.
func followed(t *testing.T) house {
	return startHouse(t, quick(t).with("SLUICE_WINDOW", "10m", "SLUICE_SENDERS_SYNC", "200ms"))
}

// TestLimitFollowsTheProvider raises a limit from 250 to 1K at the provider
// while a campaign waits, and lets quality drop it again. Nobody commands
// anything here.
func TestLimitFollowsTheProvider(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "10m", "SLUICE_SENDERS_SYNC", "200ms", "SLUICE_DEFAULT_MPS", "1000"))
	provided := func(f fields) { h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, f, nil) }
	provided(fields{"limit": 250, "mps": "unlimited"})
	h.api.sender(alpha, func(k known) bool { return k.LimitFrom == "provider" && k.Limit == 250.0 })
	events := h.nats.events()

	var ids []string
	var jobs []fields
	for i := range 320 {
		ids = append(ids, fmt.Sprintf("order-%03d", i))
		jobs = append(jobs, notice(ids[i], alpha, i))
	}
	batch, err := json.Marshal(jobs)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, h.api.do(http.MethodPost, "/v1/jobs", batch).status)
	eventually(t, func() bool { return h.api.count("parked") == 70 && h.provider.accepted() == 250 },
		func() string { return "70 should wait, and no more" })

	provided(fields{"limit": 1000})
	eventually(t, func() bool { return h.provider.accepted() == 320 }, func() string { return "70 more should have gone" })
	told := events.await("sender", 2)[1]
	require.Contains(t, told.Reason, "limit=1000")

	// Quality falls, and the limit below what is used already.
	provided(fields{"limit": 250, "quality": "LOW"})
	h.api.sender(alpha, func(k known) bool { return k.Limit == 250.0 && k.Quality == "LOW" })
	require.Equal(t, http.StatusAccepted, h.api.post(notice("new-customer", alpha, 999)).status)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("old-customer", alpha, 0)).status)
	h.api.await("old-customer", "delivered", "read")
	h.api.await("new-customer", "parked")

	// What is not understood changes nothing, least of all to unlimited.
	provided(fields{"limit_text": "Unavailable", "quality": "MEDIUM"})
	h.api.sender(alpha, func(k known) bool { return k.Limit == 250.0 && k.Quality == "MEDIUM" })
	require.Equal(t, 321, h.provider.accepted())

	provided(fields{"limit": 1000})
	h.api.awaitEnd(append(ids, "new-customer"))
	h.provider.requireOnce(append(ids, "new-customer", "old-customer"))
}

// TestTheSharedNumberIsPacedByItself: the provider's sandbox takes one message
// in three seconds, and nobody has to say so. What a person puts counts instead.
func TestTheSharedNumberIsPacedByItself(t *testing.T) {
	t.Parallel()
	const shared = "14155238886"
	const reminder = "HXb5b62575e6e4ff6129ad7c8efe1f983e"
	h := startHouse(t, quick(t).with("SLUICE_WINDOW", "10m"))
	var ids []string
	for i := range 3 {
		h.provider.must(http.MethodPost, "/sandbox/inbound",
			fields{"from": customer(i), "to": whatsapp(shared), "body": "join steady-river"}, nil)
	}
	for i := range 3 {
		ids = append(ids, fmt.Sprint("trial-", i))
		require.Equal(t, http.StatusAccepted, h.api.post(notice(ids[i], shared, i).with("content_sid", reminder)).status)
	}
	rate := func() float64 {
		var told struct {
			Limits []struct {
				Senders []struct {
					Sender string
					MPS    float64
				}
			}
		}
		h.api.must(http.MethodGet, "/v1/limits", nil, &told)
		for _, s := range told.Limits[0].Senders {
			if s.Sender == shared {
				return s.MPS
			}
		}
		return 0
	}
	var granted []time.Time
	for _, done := range h.api.awaitEnd(ids) {
		require.Contains(t, []string{"delivered", "read"}, done.Status)
		for _, e := range done.Timeline {
			if e.Type == "sending" {
				granted = append(granted, e.At)
			}
		}
	}
	// When they arrive is the machine's doing: one that the provider finds too
	// early goes once more.
	slices.SortFunc(granted, time.Time.Compare)
	for i := range len(granted) - 1 {
		require.GreaterOrEqual(t, granted[i+1].Sub(granted[i]), 3*time.Second)
	}
	for id, messages := range h.provider.ledger() {
		messages = slices.DeleteFunc(messages, func(m message) bool { return m.Status == "undelivered" })
		require.Len(t, messages, 1, id)
	}
	require.InDelta(t, 0.32, rate(), 1e-9)

	require.Zero(t, run(t, env{"SLUICE_API_URL": h.API}, "senders", "set", shared, "--mps", "0.1").code)
	require.InDelta(t, 0.1, rate(), 1e-9)
}

func TestLimitByHandAndUnregisteredSenders(t *testing.T) {
	t.Parallel()
	h := startHouse(t, quick(t).with("SLUICE_SENDERS_SYNC", "1h"))
	require.Equal(t, http.StatusNotFound, h.api.do(http.MethodGet, "/v1/senders/"+beta, nil).status)
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-1", beta, 1)).status)
	seen := h.api.sender(beta, func(known) bool { return true })
	require.False(t, seen.Registered)
	require.Equal(t, []any{250.0, "default"}, []any{seen.Limit, seen.LimitFrom})
	var all struct{ Senders []known }
	h.api.must(http.MethodGet, "/v1/senders", nil, &all)
	require.Equal(t, []known{seen}, all.Senders)
	h.api.must(http.MethodPut, "/v1/senders/"+beta, fields{"limit": 3}, nil)
	require.True(t, h.api.sender(beta, func(k known) bool { return k.LimitFrom == "hand" }).Registered)
}

func TestOfflineSenderWaitsAndComesBack(t *testing.T) {
	t.Parallel()
	h := followed(t)
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"status": "OFFLINE"}, nil)
	off := h.api.sender(alpha, func(k known) bool { return k.State == "paused" })
	require.Contains(t, fmt.Sprint(off.Reasons), "OFFLINE")
	require.Equal(t, http.StatusAccepted, h.api.post(notice("order-1", alpha, 1)).status)
	h.api.await("order-1", "parked")
	require.Zero(t, h.provider.accepted(), "nothing is tried while it is offline")
	h.provider.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"status": "ONLINE:UPDATING"}, nil)
	h.api.await("order-1", "delivered", "read")
}

const secondToken = "a token of the other account"

// TestTwoAccounts sends from two accounts. Each is signed in to with its own
// credentials, and only its own token vouches for its callbacks.
func TestTwoAccounts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(file, []byte("accounts:\n"+
		"  - {sid: "+stranger+", auth_token: "+secondToken+", secondary_token: promoted}\n"+
		"  - {sid: "+account+", secondary_token: next}\n"), 0o600))
	settings := quick(t).with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token, "SLUICE_SENDERS_SYNC", "200ms",
		"SLUICE_CALLBACKS_ADDR", fixedAddr(t), "SLUICE_PUBLIC_URL", "https://hooks.example.com")
	silent := startProvider(t, settings)
	silent.faults(fields{"callback_lost": 1})
	silent.must(http.MethodPut, "/sandbox/senders/"+alpha, fields{"account": account}, nil)
	silent.must(http.MethodPut, "/sandbox/senders/"+beta, fields{"account": stranger}, nil)
	up := start(t, settings.with("SLUICE_MESSAGES_URL", silent.base), "up", "--config", file)
	told := up.ready()
	api := newSite(t, told.API)
	require.Equal(t, account, api.sender(alpha, func(k known) bool { return k.Status != "" }).Account)
	require.Equal(t, stranger, api.sender(beta, func(k known) bool { return k.Status != "" }).Account)

	require.Equal(t, http.StatusAccepted, api.post(notice("first", alpha, 1)).status)
	require.Equal(t, http.StatusAccepted, api.post(notice("second", beta, 2)).status)
	first, second := api.await("first", "queued"), api.await("second", "queued")
	for id, want := range map[string]string{"first": account, "second": stranger} {
		require.Equal(t, want, silent.ledger()[id][0].Account, id)
	}

	site := newSite(t, told.Callbacks)
	public := settings["SLUICE_PUBLIC_URL"]
	for _, c := range []struct {
		account, token, word string
		job                  record
		status               int
	}{
		{account, secondToken, "sent", first, http.StatusForbidden},
		{stranger, token, "sent", second, http.StatusForbidden},
		{account, "promoted", "sent", first, http.StatusForbidden},
		{stranger, "next", "sent", second, http.StatusForbidden},
		{account, token, "sent", first, http.StatusNoContent},
		{stranger, secondToken, "sent", second, http.StatusNoContent},
		{account, "next", "delivered", first, http.StatusNoContent},
		{stranger, "promoted", "delivered", second, http.StatusNoContent},
	} {
		from := caller{site, public, c.account, c.token}
		require.Equal(t, c.status, from.signed("/twilio/status/"+c.job.ID+"/1", from.status(c.job, c.word)), "%s with %q", c.account, c.token)
	}
	api.await("first", "delivered")
	api.await("second", "delivered")
}

func TestBadAccounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, names string }{
		"no list":       {"accounts: AC1", "accounts"},
		"no sid":        {"accounts: [{auth_token: x}]", "accounts[0].sid"},
		"bad sid":       {"accounts: [{sid: AC1, auth_token: x}]", "accounts[0].sid"},
		"no token":      {"accounts: [{sid: " + stranger + "}]", "accounts[0].auth_token"},
		"half a key":    {"accounts: [{sid: " + stranger + ", auth_token: x, api_key: SK1}]", "accounts[0].api_key"},
		"twice":         {"accounts: [{sid: " + stranger + ", auth_token: x}, {sid: " + stranger + ", auth_token: x}]", "accounts[1].sid"},
		"unknown field": {"accounts: [{sid: " + stranger + ", token: x}]", "token"},
		"no file":       {"accounts: [{sid: " + stranger + ", auth_token_file: /nowhere}]", "accounts[0].auth_token_file"},
		"two secrets":   {"accounts: [{sid: " + stranger + ", auth_token: x, auth_token_file: /nowhere}]", "accounts[0].auth_token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "sluice.yaml")
			require.NoError(t, os.WriteFile(file, []byte(c.file+"\n"), 0o600))
			settings := quick(t).with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token, "SLUICE_PUBLIC_URL", "https://x")
			requireComplaint(t, run(t, settings, "up", "--config", file), 1, c.names)
		})
	}
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(file, []byte("accounts: [{sid: "+stranger+", auth_token: x}]\n"), 0o600))
	requireComplaint(t, run(t, quick(t), "up", "--config", file), 1, "TWILIO_ACCOUNT_SID")
}

// TestABrokenAccountLeavesTheOtherAlone: the credentials of one of two accounts
// are refused. Its jobs wait, the other's go.
func TestABrokenAccountLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	require.NoError(t, os.WriteFile(file, []byte("accounts: [{sid: "+stranger+", auth_token: invalid}]\n"), 0o600))
	settings := quick(t).with("TWILIO_ACCOUNT_SID", account, "TWILIO_AUTH_TOKEN", token,
		"SLUICE_CALLBACKS_ADDR", fixedAddr(t), "SLUICE_PUBLIC_URL", "https://hooks.example.com")
	silent := startProvider(t, settings)
	silent.faults(fields{"callback_lost": 1})
	api := newSite(t, start(t, settings.with("SLUICE_MESSAGES_URL", silent.base), "up", "--config", file).ready().API)
	api.must(http.MethodPut, "/v1/senders/"+beta, fields{"account": stranger}, nil)
	api.must(http.MethodPut, "/v1/senders/"+alpha, fields{"account": account, "mps": 1000}, nil)

	require.Equal(t, http.StatusAccepted, api.post(notice("theirs", beta, 100)).status)
	require.Equal(t, 20003, api.await("theirs", "parked").Error.Code)
	var ids []string
	for i := range 20 {
		ids = append(ids, fmt.Sprintf("ours-%02d", i))
		require.Equal(t, http.StatusAccepted, api.post(notice(ids[i], alpha, i)).status)
	}
	for _, id := range ids {
		require.NotContains(t, api.await(id, "queued").types(), "parked", "a healthy account does not wait for another's")
	}
	silent.requireOnce(ids)
}
