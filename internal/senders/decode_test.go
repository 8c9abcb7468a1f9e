package senders_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/senders"
)

func TestBodiesOfChanges(t *testing.T) {
	t.Parallel()
	patch := func(b []byte) error { _, err := senders.DecodePatch(b); return err }
	pool := func(b []byte) error { _, err := senders.DecodePoolPatch(b); return err }
	consent := func(b []byte) error { _, err := senders.DecodeConsent(b); return err }
	reason := func(b []byte) error { _, err := senders.DecodeReason(b); return err }
	for _, c := range []struct {
		decode func([]byte) error
		body   string
		field  string // "ok": no error
	}{
		{patch, `{}`, "ok"},
		{patch, `{"limit":0,"mps":0.2,"pool":"a","account":"AC1","require_opt_in":false}`, "ok"},
		{patch, `{"limit":"unlimited"}`, "ok"},
		{patch, `{"limit":"provider"}`, "ok"},
		{patch, `{"limit":-1}`, "limit"},
		{patch, `{"limit":2.5}`, "limit"},
		{patch, `{"limit":"250"}`, "limit"},
		{patch, `{"limit":""}`, "limit"},
		{patch, `{"limit":null}`, "limit"},
		{patch, `{"limit":1000000001}`, "limit"},
		{patch, `{"limit":99999999999999999999}`, "limit"},
		{patch, `{"mps":"80"}`, "mps"},
		{patch, `{"mps":1e999}`, "mps"},
		{patch, `{"require_opt_in":1}`, "require_opt_in"},
		{patch, `{"Limit":1}`, "Limit"},
		{patch, `{"state":"paused"}`, "state"},
		{patch, ``, ""},
		{patch, `null`, ""},
		{patch, `[]`, ""},
		{patch, `{} {}`, ""},
		{pool, `{"limit":10,"reserve":0.25}`, "ok"},
		{pool, `{"reserve":"half"}`, "reserve"},
		{pool, `{"mps":1}`, "mps"},
		{consent, `{"state":"out","from":"all","source":"call","at":"2026-01-31T09:00:00+01:00"}`, "ok"},
		{consent, `{"state":"out","at":"yesterday"}`, "at"},
		{consent, `{"state":true}`, "state"},
		{reason, ``, "ok"},
		{reason, `{"reason":"night"}`, "ok"},
		{reason, `{"reason":5}`, "reason"},
	} {
		err := c.decode([]byte(c.body))
		if c.field == "ok" {
			require.NoError(t, err, c.body)
		} else {
			require.Error(t, err, c.body)
			requireField(t, err, c.field)
		}
	}
}

func FuzzDecodePatch(f *testing.F) {
	for _, seed := range []string{
		`{"limit":0,"mps":0.2,"pool":"a","account":"AC1","require_opt_in":false}`, `{"limit":"provider"}`, `{"limit":-2}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := senders.DecodePatch(body)
		if err != nil {
			return
		}
		require.True(t, json.Valid(body))
		if p.Limit != nil {
			require.GreaterOrEqual(t, *p.Limit, senders.FromProvider)
			require.LessOrEqual(t, *p.Limit, senders.MaxLimit)
			text, err := json.Marshal(p.Limit)
			require.NoError(t, err)
			var again senders.Limit
			require.NoError(t, json.Unmarshal(text, &again))
			require.Equal(t, *p.Limit, again)
		}
	})
}

func FuzzDecodeConsent(f *testing.F) {
	f.Add([]byte(`{"state":"out","from":"all","source":"call","at":"2026-01-31T09:00:00+01:00"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := senders.DecodeConsent(body); err == nil {
			require.True(t, json.Valid(body))
		}
	})
}
