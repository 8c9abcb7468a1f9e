package main

import (
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"
)

// shownSetting is a setting as `sluice config` prints it.
type shownSetting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Origin  string `json:"origin"` // default, file, env or flag
	Default string `json:"default"`
	Meaning string `json:"meaning"`
}

func newConfig(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "config", Short: "Shows every setting with value, origin, default and meaning", Args: cobra.NoArgs,
		Long:    "Shows every setting with value, origin, default and meaning, as a role started here would see it. Secrets are masked.",
		Example: "  sluice config\n  sluice config --config sluice.yaml --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, origins, warnings, err := load(cmd.Flags(), p.env)
			if err != nil {
				return err
			}
			p.warn(warnings)
			shown := showSettings(cfg, origins)
			if asJSON {
				return json.NewEncoder(p.out).Encode(shown)
			}
			rows := [][]string{{"SETTING", "VALUE", "ORIGIN", "DEFAULT", "MEANING"}}
			for _, s := range shown {
				rows = append(rows, []string{s.Name, s.Value, s.Origin, s.Default, s.Meaning})
			}
			return p.table(rows)
		},
	}
	addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showSettings(cfg Config, origins map[string]string) []shownSetting {
	defaults := defaultConfig()
	byDefault := defaults.settings()
	shown := make([]shownSetting, len(byDefault))
	for i, s := range cfg.settings() {
		value := s.text()
		switch {
		case s.secret && value != "":
			value = "********"
		case strings.HasSuffix(s.name, "_url") || strings.HasSuffix(s.name, "_endpoint"):
			value = redactURL(value)
		}
		shown[i] = shownSetting{Name: s.env(), Value: value, Origin: origins[s.name], Default: byDefault[i].text(), Meaning: s.usage}
	}
	return shown
}
