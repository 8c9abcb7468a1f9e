package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluicehq/sluice/internal/messaging"
	"github.com/sluicehq/sluice/internal/onboarding"
)

// providerSettings are the settings of the commands that talk to the provider
// themselves.
var providerSettings = []string{
	"twilio_account_sid", "twilio_auth_token", "twilio_api_key", "twilio_api_secret",
	"senders_url", "messages_url", "public_url", "callbacks_addr", "sandbox_addr", "send_timeout",
}

// addProviderFlags gives those settings, and the file, their flags.
func addProviderFlags(flags *pflag.FlagSet) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(all)
	flags.AddFlag(all.Lookup("config"))
	for _, name := range providerSettings {
		flags.AddFlag(all.Lookup(strings.ReplaceAll(name, "_", "-")))
	}
}

// configureProvider loads and checks the settings of such a command.
func (p *program) configureProvider(cmd *cobra.Command) (Config, error) {
	cfg, _, warnings, err := load(cmd.Flags(), p.env)
	if err != nil {
		return cfg, err
	}
	p.warn(warnings)
	if err := errors.Join(cfg.checkProvider("tracker"), cfg.checkAccounts()); err != nil {
		return cfg, err
	}
	if cfg.live() && cfg.AuthToken == "" && cfg.APIKey == "" {
		return cfg, wrong("TWILIO_AUTH_TOKEN", "or TWILIO_API_KEY and TWILIO_API_SECRET are required with TWILIO_ACCOUNT_SID")
	}
	return cfg, nil
}

// ourWebhooks are where a sender's callbacks should go, empty while nobody
// knows: with real credentials that is for the settings to say.
func (c Config) ourWebhooks() messaging.SenderWebhook {
	public := strings.TrimRight(c.PublicURL, "/")
	if public == "" {
		if c.live() {
			return messaging.SenderWebhook{}
		}
		public = "http://" + c.CallbacksAddr
	}
	return messaging.SenderWebhook{
		CallbackURL: public + "/twilio/inbound", FallbackURL: public + "/twilio/fallback", StatusURL: public + "/twilio/status",
	}
}

// sendersOf is the Senders API of an account; empty stands for the main one.
func (c Config) sendersOf(account string) (*messaging.SendersClient, error) {
	all := c.accounts()
	i := 0
	if account != "" {
		i = slices.IndexFunc(all, func(a providerAccount) bool { return a.SID == account })
	}
	if i < 0 {
		return nil, fmt.Errorf("account %s is not in the settings: give its credentials by TWILIO_ACCOUNT_SID or under accounts", account)
	}
	return messaging.NewSendersClient(all[i].Account, messaging.Config{BaseURL: c.sendersURL(), Timeout: c.SendTimeout, MaxConns: 1}), nil
}

func newSendersRegister(p *program, asJSON *bool) *cobra.Command {
	var file, account string
	var with onboarding.Config
	var ask bool
	cmd := &cobra.Command{
		Use: "register --file FILE", Short: "Registers senders with the provider, one after another", Args: cobra.NoArgs,
		Long: `Registers the senders of a file (YAML) with the provider: the first alone, until
its display name was seen not to be rejected, then each of the others once the
one before is online. A number that is not the provider's receives a code: on a
terminal it is asked for, otherwise give it by sluice senders verify. Whatever
interrupts it, run it again: what the provider lists is not done twice.

This command talks to the provider itself, with the credentials of the settings.`,
		Example: `  sluice senders register --file senders.yaml

  # senders.yaml
  waba_id: "1234567890"
  senders:
    - sender: "+15550001111"
      profile: {name: Corner Shop, about: Orders and deliveries}
    - sender: "+4915112345678"
      verification_method: voice
      profile: {name: Corner Shop}`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("--file is required: see `sluice senders register --help`")}
			}
			cfg, err := p.configureProvider(cmd)
			if err != nil {
				return err
			}
			if ask || terminal(p.in) {
				with.Ask = asker(p.in, p.err)
			}
			with.Tell = p.progress(*asJSON)
			return p.register(cmd.Context(), cfg, file, account, with)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&file, "file", "", "senders to register (YAML)")
	flags.StringVar(&account, "account", "", "account they belong to, before the file's; default the main one")
	flags.BoolVar(&ask, "ask", false, "ask for codes on standard input although it is no terminal")
	flags.DurationVar(&with.Settle, "settle", 0, "how long the first sender must stay online before the second (default 30s)")
	flags.DurationVar(&with.Poll, "poll", 0, "between two looks at a sender (default 2s)")
	flags.DurationVar(&with.Timeout, "timeout", 0, "for one sender to come online (default 15m)")
	flags.DurationVar(&with.OfflineGrace, "offline-grace", 0, "how long a sender may be OFFLINE on its way (default 5m)")
	addProviderFlags(flags)
	return cmd
}

func (p *program) register(ctx context.Context, cfg Config, file, account string, with onboarding.Config) error {
	for _, d := range []struct {
		name  string
		value int64
	}{{"--settle", int64(with.Settle)}, {"--poll", int64(with.Poll)}, {"--timeout", int64(with.Timeout)}, {"--offline-grace", int64(with.OfflineGrace)}} {
		if d.value < 0 {
			return usageError{fmt.Errorf("%s: use a duration above 0", d.name)}
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	plan, err := onboarding.Read(text, cfg.ourWebhooks())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if account == "" {
		account = plan.Account
	}
	client, err := cfg.sendersOf(account)
	if err != nil {
		return err
	}
	defer client.Close()
	there, err := client.List(ctx)
	if err != nil {
		return fmt.Errorf("list the senders there are: %w", err)
	}
	for _, warning := range onboarding.Warnings(plan, there) {
		fmt.Fprintf(p.err, "sluice: warning: %s\n", warning)
	}
	return onboarding.Run(ctx, client, plan, there, with)
}

// progress prints what happens, a line each.
func (p *program) progress(asJSON bool) func(onboarding.Progress) {
	if asJSON {
		lines := json.NewEncoder(p.out)
		return func(step onboarding.Progress) { _ = lines.Encode(step) } // a reader that has gone misses it
	}
	return func(step onboarding.Progress) {
		fmt.Fprintf(p.out, "%d/%d  %s  %-20s  %s\n", step.Number, step.Of, step.Sender, step.Status, step.Note)
	}
}

// asker asks on a terminal. It returns as soon as ctx ends, and leaves a read
// that nobody answers to the end of the process.
func asker(in io.Reader, out io.Writer) func(context.Context, string, string) (string, error) {
	lines := bufio.NewReader(in)
	type answer struct {
		text string
		err  error
	}
	return func(ctx context.Context, sender, method string) (string, error) {
		fmt.Fprintf(out, "code that %s received by %s (or: sms, voice for another one): ", sender, method)
		got := make(chan answer, 1)
		go func() {
			text, err := lines.ReadString('\n')
			if err == io.EOF && text != "" {
				err = nil
			}
			got <- answer{strings.TrimSpace(text), err}
		}()
		select {
		case a := <-got:
			if a.err != nil {
				return "", fmt.Errorf("no code was given: %w; hand it in by `sluice senders verify %s CODE` and run this again", a.err, sender)
			}
			return a.text, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

var codePattern = regexp.MustCompile(`^[0-9][0-9 -]{2,12}[0-9]$`)

func newSendersVerify(p *program, asJSON *bool) *cobra.Command {
	var again string
	cmd := &cobra.Command{
		Use: "verify SENDER [CODE]", Short: "Hands in the code that a sender's number received", Args: cobra.RangeArgs(1, 2),
		Long: `Hands in the code that the number of a sender received while it was registered,
or, with --request, has another one sent. This command talks to the provider
itself, with the credentials of the settings.`,
		Example: "  sluice senders verify +4915112345678 123456\n  sluice senders verify +4915112345678 --request voice",
		RunE: func(cmd *cobra.Command, args []string) error {
			answer := again
			switch {
			case again != "" && (len(args) == 2 || again != "sms" && again != "voice"):
				return usageError{errors.New("--request: give sms or voice, and no code")}
			case again == "" && len(args) == 1:
				return usageError{errors.New("CODE is missing; --request sms or --request voice has one sent")}
			case len(args) == 2 && !codePattern.MatchString(args[1]):
				return usageError{errors.New("CODE: must be the digits that the number received")}
			case len(args) == 2:
				answer = args[1]
			}
			number, err := onboarding.CheckNumber(args[0])
			if err != nil {
				return usageError{fmt.Errorf("SENDER: %w", err)}
			}
			cfg, err := p.configureProvider(cmd)
			if err != nil {
				return err
			}
			return p.verify(cmd.Context(), cfg, number, answer, *asJSON)
		},
	}
	cmd.Flags().StringVar(&again, "request", "", "have another code sent: sms or voice")
	addProviderFlags(cmd.Flags())
	return cmd
}

// verify looks for the sender in every account of the settings.
func (p *program) verify(ctx context.Context, cfg Config, number, answer string, asJSON bool) error {
	for _, a := range cfg.accounts() {
		client, err := cfg.sendersOf(a.SID)
		if err != nil {
			return err
		}
		defer client.Close()
		all, err := client.List(ctx)
		if err != nil {
			return fmt.Errorf("list the senders of %s: %w", a.SID, err)
		}
		for _, s := range all {
			if s.Address != "whatsapp:"+number {
				continue
			}
			if s.Status != messaging.SenderPendingVerification {
				return fmt.Errorf("%s is %s: no code is awaited", number, s.Status)
			}
			now, err := onboarding.Answer(ctx, client, s, answer)
			if err != nil {
				return err
			}
			p.progress(asJSON)(onboarding.Progress{Sender: number, Number: 1, Of: 1, Status: string(now.Status), Note: "told the provider"})
			return nil
		}
	}
	return fmt.Errorf("%s is registered in no account of the settings: register it first", number)
}
