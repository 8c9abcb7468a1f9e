package onboarding_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/onboarding"
	"github.com/sluicehq/sluice/internal/sandbox"
)

const (
	theirs = "+15550000001" // of the provider
	own    = "+4915112345678"
	next   = "+15550000002"
)

// rig is a client of a sandbox whose senders need some milliseconds a state.
type rig struct {
	*messaging.SendersClient
	t    *testing.T
	box  *sandbox.Sandbox
	told []onboarding.Progress
}

func newRig(t *testing.T) *rig {
	t.Helper()
	box := sandbox.New(sandbox.Config{OnboardingStep: 20 * time.Millisecond})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	client := messaging.NewSendersClient(messaging.Account{SID: "AC1", AuthToken: "x"}, messaging.Config{BaseURL: server.URL})
	t.Cleanup(client.Close)
	return &rig{SendersClient: client, t: t, box: box}
}

func plan(name string, numbers ...string) onboarding.Plan {
	var p onboarding.Plan
	for _, n := range numbers {
		hook := ours
		p.Senders = append(p.Senders, messaging.SenderRequest{
			Address: "whatsapp:" + n, Webhook: &hook, Profile: &messaging.SenderProfile{Name: name},
			Configuration: &messaging.SenderConfiguration{VerificationMethod: "sms"},
		})
	}
	return p
}

// run carries a plan out with short waits.
func (r *rig) run(s onboarding.Senders, p onboarding.Plan, change func(*onboarding.Config)) error {
	r.t.Helper()
	there, err := r.List(r.t.Context())
	require.NoError(r.t, err)
	cfg := onboarding.Config{
		Poll: 2 * time.Millisecond, Settle: 100 * time.Millisecond, Timeout: 10 * time.Second, OfflineGrace: 10 * time.Second,
		Tell: func(p onboarding.Progress) { r.told = append(r.told, p) },
	}
	if change != nil {
		change(&cfg)
	}
	return onboarding.Run(r.t.Context(), s, p, there, cfg)
}

func (r *rig) code(number string) string {
	r.t.Helper()
	state, ok := r.box.Sender(number[1:])
	require.True(r.t, ok)
	require.NotEmpty(r.t, state.Code)
	return state.Code
}

func TestSendersComeOnlineOneAfterAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var asked []string
	require.NoError(t, r.run(r, plan("Shop", theirs, own, next), func(c *onboarding.Config) {
		c.Ask = func(_ context.Context, sender, method string) (string, error) {
			asked = append(asked, sender+" "+method)
			switch len(asked) {
			case 1:
				return "000-000x", nil // not accepted, and asked again
			case 2:
				return "voice", nil
			case 3:
				return "", nil // look again
			default:
				code := r.code(own)
				return code[:3] + "-" + code[3:], nil
			}
		}
	}))
	require.Equal(t, []string{own + " sms", own + " sms", own + " voice", own + " voice"}, asked)
	seen, order := map[string]string{}, []string{}
	for _, p := range r.told {
		if p.Note == "registered" {
			for _, before := range order {
				require.Equal(t, "ONLINE", seen[before], "%s while %s was not online", p.Sender, before)
			}
			order = append(order, p.Sender)
		}
		seen[p.Sender] = p.Status
	}
	require.Equal(t, []string{theirs, own, next}, order)
	require.Contains(t, r.told[len(r.told)-1].Note, "250 Customers/24hr")

	r.told = nil
	require.NoError(t, r.run(r, plan("Shop", theirs, own, next), nil))
	for _, p := range r.told {
		require.NotEqual(t, "registered", p.Note, "a second run registers nobody")
	}
}

func TestARejectedNameStopsEverything(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.run(r, plan("WhatsApp Shop", theirs, next), nil)
	require.ErrorContains(t, err, "display name was rejected")
	require.ErrorContains(t, err, theirs)
	require.Len(t, r.box.Senders(), 1, "the second was never registered")
}

func TestWebhooksOfASenderThatIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.Register(t.Context(), messaging.SenderRequest{Address: "whatsapp:" + theirs})
	require.NoError(t, err)
	require.NoError(t, r.run(r, plan("Shop", theirs), nil))
	all, err := r.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, ours.CallbackURL, all[0].Webhook.CallbackURL)
	require.Equal(t, ours.StatusURL, all[0].Webhook.StatusURL)
}

func TestTimesRunOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.run(r, plan("Shop", own), func(c *onboarding.Config) { c.Timeout = time.Second })
	require.ErrorContains(t, err, "sluice senders verify "+own)
	require.ErrorContains(t, err, "run this again")

	offline := "OFFLINE"
	_, err = r.box.PutSender(theirs[1:], sandbox.SenderPatch{Status: &offline})
	require.NoError(t, err)
	err = r.run(r, plan("Shop", theirs), func(c *onboarding.Config) { c.OfflineGrace = 20 * time.Millisecond })
	require.ErrorContains(t, err, "OFFLINE for 20ms: 30008")
}

// lossy registers, and loses the answer.
type lossy struct {
	*rig
	reached bool
}

func (l lossy) Register(ctx context.Context, r messaging.SenderRequest) (messaging.ChannelSender, error) {
	if l.reached {
		_, _ = l.rig.Register(ctx, r)
	}
	return messaging.ChannelSender{}, &messaging.Failure{Class: messaging.Unknown, Written: true, Err: errors.New("line broke")}
}

func TestALostAnswerIsLookedUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.run(lossy{r, true}, plan("Shop", theirs), nil))
	require.ErrorContains(t, r.run(lossy{r, false}, plan("Shop", next), nil), "line broke")
}

func TestNobodyToAskAnyMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	err := r.run(r, plan("Shop", own), func(c *onboarding.Config) {
		c.Ask = func(context.Context, string, string) (string, error) { return "", errors.New("end of input") }
	})
	require.ErrorContains(t, err, "end of input")
}
