package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/messaging"
)

// checkProvider signs in with every account's credentials.
func (d *doctor) checkProvider(ctx context.Context) {
	if !d.cfg.live() {
		d.say("provider", checkOK, "%s", d.cfg.whereMessagesGo())
		return
	}
	for i, account := range d.cfg.accounts() {
		d.checkAccount(ctx, account, i == 0)
	}
}

// checkAccount lists one message: what a restricted key may do as well.
func (d *doctor) checkAccount(ctx context.Context, a providerAccount, first bool) {
	check := "provider " + a.SID
	ask := d.cfg.messagesURL() + "/2010-04-01/Accounts/" + url.PathEscape(a.SID) + "/Messages.json?PageSize=1"
	asked := time.Now()
	resp, err := d.request(ctx, http.MethodGet, ask, "", a.SignIn)
	if err != nil {
		d.say(check, checkFail, "%s does not answer: %s: see that this machine may reach it", redactURL(d.cfg.messagesURL()), cause(err))
		return
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		d.say(check, checkFail, "the credentials are refused (401): see TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_API_KEY and TWILIO_API_SECRET")
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusNotFound:
		d.say(check, checkFail, "the account cannot be used (%s): see that it is active and that the key belongs to it", resp.Status)
	case resp.StatusCode >= 300:
		d.say(check, checkWarn, "answered %s: try again later", resp.Status)
	default:
		d.say(check, checkOK, "the credentials are taken")
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil && first {
		d.checkClock("the provider", date, asked, time.Second) // the header has whole seconds
	}
}

// unheardOf is a status that no provider reports: our callbacks take it, once
// the signature is right, and record nothing.
const unheardOf = "sluice-doctor"

// checkPublicURL sends what the provider would: one form that is signed and one
// that is not. Only our callbacks, with this token and under this URL, take the
// first and refuse the second.
func (d *doctor) checkPublicURL(ctx context.Context) {
	if d.cfg.PublicURL == "" {
		if !d.cfg.live() { // else the settings have failed
			d.say("public URL", checkOK, "not needed by the sandbox")
		}
		return
	}
	account := d.cfg.accounts()[0]
	target := strings.TrimRight(d.cfg.PublicURL, "/") + "/twilio/status"
	shown := redactURL(target)
	form := url.Values{
		"AccountSid": {account.SID}, "MessageStatus": {unheardOf}, "MessageSid": {"SM" + strings.Repeat("0", 32)},
	}
	post := func(signature string) (*http.Response, error) {
		return d.request(ctx, http.MethodPost, target, form.Encode(), func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if signature != "" {
				r.Header.Set("X-Twilio-Signature", signature)
			}
		})
	}
	signed, err := post(messaging.Signature(account.AuthToken, target, form))
	if err != nil {
		d.say("public URL", checkFail, "%s does not answer: %s: see the DNS name, the certificate and that a `sluice callbacks` or `sluice up` is behind it", shown, cause(err))
		return
	}
	switch signed.StatusCode {
	case http.StatusNoContent:
	case http.StatusForbidden:
		d.say("public URL", checkFail, "%s refuses our signature: its SLUICE_PUBLIC_URL or TWILIO_AUTH_TOKEN is another", shown)
		return
	default:
		d.say("public URL", checkFail, "%s answers %s, so it is not our callbacks: see where the load balancer sends it", shown, signed.Status)
		return
	}
	unsigned, err := post("")
	d.judge("public URL", err == nil && unsigned.StatusCode == http.StatusForbidden, checkFail,
		shown+" reaches our callbacks, which know the token",
		shown+" takes forms without a signature, so it is not our callbacks: see where the load balancer sends it")
	if err == nil && strings.HasPrefix(target, "http://") && d.cfg.live() {
		d.say("https", checkWarn, "the public URL is not https: customers' addresses travel in the open")
	}
}

// request does not follow redirects, as the provider's forms are not sent twice.
func (d *doctor) request(ctx context.Context, method, target, body string, prepare func(*http.Request)) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	prepare(req)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // the status says it all
	return resp, nil
}
