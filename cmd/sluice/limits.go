package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// poolLine is a pool as GET /v1/limits tells it.
type poolLine struct {
	Pool       string      `json:"pool"`
	Limit      limitNumber `json:"limit"`
	Used       int         `json:"used"`
	Free       limitNumber `json:"free"`
	Reserved   int         `json:"reserved"`
	NextFreeAt *time.Time  `json:"next_free_at"`
	Parked     struct {
		High   int `json:"high"`
		Normal int `json:"normal"`
		Low    int `json:"low"`
	} `json:"parked"`
	DrainsAt *time.Time `json:"drains_at"`
	Senders  []struct {
		Sender       string      `json:"sender"`
		Limit        limitNumber `json:"limit"`
		Used         int         `json:"used"`
		Free         limitNumber `json:"free"`
		MPS          float64     `json:"mps"`
		NextFreeAt   *time.Time  `json:"next_free_at"`
		Paused       bool        `json:"paused"`
		PausedReason string      `json:"paused_reason"`
	} `json:"senders"`
}

// limitNumber is a number, or "unlimited", as text.
type limitNumber string

// UnmarshalJSON takes both forms.
func (l *limitNumber) UnmarshalJSON(data []byte) error {
	text := string(data)
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	*l = limitNumber(text)
	return nil
}

// MarshalJSON gives back the form that was taken.
func (l limitNumber) MarshalJSON() ([]byte, error) {
	if n, err := strconv.ParseInt(string(l), 10, 64); err == nil {
		return json.Marshal(n)
	}
	return json.Marshal(string(l))
}

func newLimits(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "limits [POOL]", Short: "Shows how full each messaging limit is, and when what waits will be out", Args: cobra.MaximumNArgs(1),
		Example: "  sluice limits\n  sluice limits AC0123… --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return show(cmd.Context(), p, "/v1/limits/"+url.PathEscape(args[0]), asJSON,
					func(pool poolLine) [][]string { return limitRows([]poolLine{pool}) })
			}
			return show(cmd.Context(), p, "/v1/limits", asJSON, func(all struct {
				Limits []poolLine `json:"limits"`
			}) [][]string {
				return limitRows(all.Limits)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func limitRows(pools []poolLine) [][]string {
	rows := [][]string{{"POOL / SENDER", "USED", "LIMIT", "FREE", "NEXT FREE", "PARKED H/N/L", "DRAINS", ""}}
	for _, pool := range pools {
		parked := fmt.Sprintf("%d/%d/%d", pool.Parked.High, pool.Parked.Normal, pool.Parked.Low)
		rows = append(rows, []string{pool.Pool, strconv.Itoa(pool.Used), string(pool.Limit), string(pool.Free),
			localTime(pool.NextFreeAt), parked, localTime(pool.DrainsAt), ""})
		for _, s := range pool.Senders {
			state := ""
			if s.Paused {
				state = "paused: " + s.PausedReason
			}
			rows = append(rows, []string{"  " + s.Sender, strconv.Itoa(s.Used), string(s.Limit), string(s.Free),
				localTime(s.NextFreeAt), "", "", state})
		}
	}
	return rows
}
