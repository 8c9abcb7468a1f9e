package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// examined is what `sluice doctor --json` found, by check.
func examined(t *testing.T, settings env, code int) map[string][2]string {
	t.Helper()
	r := run(t, settings, "doctor", "--json")
	require.Equal(t, code, r.code, "%s%s", r.stdout, r.stderr)
	var told struct {
		OK     bool
		Checks []struct{ Check, Status, Message string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &told), r.stdout)
	require.Equal(t, code == 0, told.OK)
	found := map[string][2]string{}
	for _, c := range told.Checks {
		require.NotEmpty(t, c.Message)
		found[c.Check] = [2]string{c.Status, c.Message}
	}
	return found
}

func requireFound(t *testing.T, found map[string][2]string, check, status, says string) {
	t.Helper()
	require.Equal(t, status, found[check][0], "%s: %v", check, found)
	require.Contains(t, found[check][1], says)
}

func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	addr := fixedAddr(t)
	startRedis(t, addr)
	h := startHouse(t, quick(t).with("SLUICE_REDIS_URL", "redis://"+addr))
	found := examined(t, env{
		"SLUICE_NATS_URL": h.NATS, "SLUICE_REDIS_URL": "redis://" + addr, "SLUICE_PUBLIC_URL": h.Callbacks,
	}, 0)
	for check, says := range map[string]string{
		"settings": "dispatcher", "nats": "server", "jetstream": "enabled", "redis": "server", "redis eviction": "noeviction",
		"stream SLUICE_JOBS": "replicas", "stream SLUICE_WAIT": "replicas", "stream SLUICE_LOG": "replicas", "stream SLUICE_FACTS": "replicas",
		"clock of NATS": "agrees", "clock of redis": "agrees", "provider": "SANDBOX", "public URL": "reaches our callbacks",
	} {
		requireFound(t, found, check, "ok", says)
	}
	requireFound(t, found, "redis persistence", "warn", "appendonly")
	requireFound(t, found, "fsync", "warn", "sync_interval")

	shown := run(t, env{}, "doctor")
	require.Zero(t, shown.code, shown.stderr)
	require.Regexp(t, `(?m)^ok +nats +embedded`, shown.stdout)
}

// TestDoctorFindsWhatIsWrong, and says what to do about it.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	nowhere := fixedAddr(t)
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer late.Close()
	anything := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer anything.Close()
	settings := env{
		"SLUICE_NATS_URL": "nats://" + nowhere, "SLUICE_REDIS_URL": "redis://:hidden-password@" + nowhere, "SLUICE_PUBLIC_URL": anything.URL,
		"TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001", "TWILIO_AUTH_TOKEN": "secret-of-an-account", "SLUICE_MESSAGES_URL": late.URL,
	}
	found := examined(t, settings, 1)
	requireFound(t, found, "nats", "fail", "SLUICE_NATS_URL")
	requireFound(t, found, "redis", "fail", "SLUICE_REDIS_URL")
	requireFound(t, found, "provider AC00000000000000000000000000000001", "fail", "TWILIO_AUTH_TOKEN")
	requireFound(t, found, "clock of the provider", "fail", "NTP")
	requireFound(t, found, "public URL", "fail", "not our callbacks")
	for check, said := range found {
		require.NotContains(t, said[1], "hidden", check)
		require.NotContains(t, said[1], "secret", check)
	}

	// Our callbacks, but with another token.
	h := startHouse(t, quick(t))
	found = examined(t, settings.with("SLUICE_PUBLIC_URL", h.Callbacks), 1)
	requireFound(t, found, "public URL", "fail", "TWILIO_AUTH_TOKEN")

	found = examined(t, env{"SLUICE_FSYNC": "never"}, 1)
	requireFound(t, found, "settings", "fail", "SLUICE_FSYNC")
}

func TestDoctorRefusesEviction(t *testing.T) {
	t.Parallel()
	addr := fixedAddr(t)
	startRedis(t, addr)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	found := examined(t, env{"SLUICE_NATS_URL": "nats://" + fixedAddr(t), "SLUICE_REDIS_URL": "redis://" + addr}, 1)
	requireFound(t, found, "redis eviction", "fail", "noeviction")
}
