package sandbox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// Faults says how the sandbox misbehaves. Shares run from 0 (never) to 1
// (always); the zero value is a provider without faults.
type Faults struct {
	DropResponse float64 `json:"drop_response"` // accepted, then the connection closes without an answer
	ServerError  float64 `json:"server_error"`  // accepted, then 500 with error 20500
	TooMany      float64 `json:"too_many"`      // 429 with error 20429, not accepted
	Reset        float64 `json:"reset"`         // connection reset, not accepted

	CallbackLost     float64 `json:"callback_lost"`     // share of callbacks that never leave
	CallbackDoubled  float64 `json:"callback_doubled"`  // share of callbacks posted twice
	CallbackShuffled float64 `json:"callback_shuffled"` // share of messages whose callbacks come in reverse

	Latency       Duration `json:"latency"`        // before an answer of the Messages API, after acceptance
	CallbackDelay Duration `json:"callback_delay"` // every callback is this much later
}

// Duration is a time.Duration written as "50ms" in JSON.
type Duration time.Duration

// MarshalJSON writes the duration in Go's notation.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}

// UnmarshalJSON reads Go's notation; a bare number is refused.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration must be a string such as \"50ms\", got %s", data)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("a duration must be a string such as \"50ms\", got %q", text)
	}
	*d = Duration(parsed)
	return nil
}

// SetFaults replaces all faults for the messages accepted from now on. It
// refuses shares outside 0 to 1 and durations outside 0 to 1h.
func (s *Sandbox) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dice.faults = f
	return nil
}

// Faults returns the faults in force.
func (s *Sandbox) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dice.faults
}

func (f Faults) check() error {
	err := checkShares([]share{
		{"drop_response", f.DropResponse}, {"server_error", f.ServerError},
		{"too_many", f.TooMany}, {"reset", f.Reset},
		{"callback_lost", f.CallbackLost}, {"callback_doubled", f.CallbackDoubled},
		{"callback_shuffled", f.CallbackShuffled},
	})
	if err != nil {
		return err
	}
	for _, pause := range []struct {
		name  string
		value Duration
	}{{"latency", f.Latency}, {"callback_delay", f.CallbackDelay}} {
		if pause.value < 0 || pause.value > Duration(time.Hour) {
			return badField(pause.name, "must be a duration from 0s to 1h")
		}
	}
	return nil
}

// share is a field that holds one.
type share struct {
	name  string
	value float64
}

func checkShares(shares []share) error {
	for _, share := range shares {
		if !(share.value >= 0 && share.value <= 1) { // refuses NaN too
			return badField(share.name, "must be a share from 0 to 1")
		}
	}
	return nil
}

// dice decides which message meets which fault. The Sandbox's mu guards it.
type dice struct {
	faults Faults
	rng    *rand.Rand
}

func newDice(seed uint64) dice {
	return dice{rng: rand.New(rand.NewPCG(seed, 0))}
}

// fate is what one create request will meet.
type fate struct {
	reset, tooMany, drop, serverError bool
	latency                           time.Duration
	callbacks                         callbackFate
}

// callbackFate is what one message will meet once it is accepted.
type callbackFate struct {
	read     bool // a read receipt follows the delivery
	reply    bool // the customer writes back
	stop     bool // the customer writes STOP
	shuffled bool
	late     time.Duration
	lost     [maxSteps]bool
	doubled  [maxSteps]bool
}

// roll draws the fate of the next request. It draws the same number of times
// whatever the shares are: turning one fault on leaves the others' victims be.
func (d *dice) roll(customers Customers) fate {
	hit := func(share float64) bool { return d.rng.Float64() < share }
	f := fate{
		reset:       hit(d.faults.Reset),
		tooMany:     hit(d.faults.TooMany),
		drop:        hit(d.faults.DropResponse),
		serverError: hit(d.faults.ServerError),
		latency:     time.Duration(d.faults.Latency),
		callbacks: callbackFate{
			read:     hit(customers.Read),
			shuffled: hit(d.faults.CallbackShuffled),
			late:     time.Duration(d.faults.CallbackDelay),
		},
	}
	for i := range maxSteps {
		f.callbacks.lost[i] = hit(d.faults.CallbackLost)
		f.callbacks.doubled[i] = hit(d.faults.CallbackDoubled)
	}
	f.callbacks.reply, f.callbacks.stop = hit(customers.Reply), hit(customers.Stop)
	return f
}
