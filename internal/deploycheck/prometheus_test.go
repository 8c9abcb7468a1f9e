package deploycheck

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/dns"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// requireExpression parses PromQL and looks every metric up in the binary.
func requireExpression(t *testing.T, text string, exposed map[string]bool) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	require.NoError(t, err, text)
	asked := 0
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			asked++
			name := v.Name
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if base, cut := strings.CutSuffix(name, suffix); cut && exposed[base] {
					name = base
				}
			}
			require.True(t, exposed[name], "%s is not a metric of the binary, in %s", v.Name, text)
		}
		return nil
	})
	require.Positive(t, asked, "no metric in %s", text)
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	rules, errs := rulefmt.ParseFile(deploy+"prometheus/alerts.yml", false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	exposed, names := metrics(t), map[string]bool{}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			requireExpression(t, rule.Expr, exposed)
			require.False(t, names[rule.Alert], rule.Alert)
			names[rule.Alert] = true
			require.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
		}
	}
	for _, name := range []string{
		"SluiceLimitNearlyUsed", "SluiceParkedGrowing", "SluiceParkedTooLong", "SluiceUnknownOutcomes", "SluiceGateClosed",
		"SluiceSenderPaused", "SluiceCallbackSignatures", "SluiceTrackerLag", "SluiceReadyJobsWait",
	} {
		require.True(t, names[name], name)
	}
}

func TestScrapeConfig(t *testing.T) {
	t.Parallel()
	cfg, err := config.LoadFile(deploy+"prometheus/prometheus.yml", false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Len(t, cfg.ScrapeConfigs, 1)
	for _, file := range cfg.RuleFiles {
		require.FileExists(t, file)
	}
	require.Equal(t, metricsPath, cfg.ScrapeConfigs[0].MetricsPath)
	found := cfg.ScrapeConfigs[0].ServiceDiscoveryConfigs[0].(*dns.SDConfig)
	_, port, err := net.SplitHostPort(settings(t)["SLUICE_ADMIN_ADDR"].Default)
	require.NoError(t, err)
	require.Equal(t, port, fmt.Sprint(found.Port))
	for _, role := range found.Names {
		requireCommand(t, role)
	}
}

// grafanaVariables are filled in by Grafana before Prometheus sees them.
var grafanaVariables = regexp.MustCompile(`\$__(rate_interval|range|interval)`)

func TestDashboards(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(deploy + "grafana/dashboards/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	exposed := metrics(t)
	for _, file := range files {
		var board struct {
			UID, Title    string
			SchemaVersion int
			Templating    struct{ List []struct{ Name, Type string } }
			Panels        []struct {
				ID          int
				Type, Title string
				Datasource  struct{ Type, UID string }
				GridPos     struct{ X, Y, W, H int }
				Targets     []struct{ RefID, Expr string }
			}
		}
		require.NoError(t, json.Unmarshal(read(t, file), &board))
		require.NotEmpty(t, board.UID)
		require.NotEmpty(t, board.Title)
		require.GreaterOrEqual(t, board.SchemaVersion, 36)
		require.Equal(t, "datasource", board.Templating.List[0].Name)
		ids, shown, taken := map[int]bool{}, map[string]bool{}, map[[2]int]string{}
		for _, p := range board.Panels {
			require.False(t, ids[p.ID], p.Title)
			ids[p.ID] = true
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				require.Less(t, x, 24, p.Title)
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					require.Empty(t, taken[[2]int{x, y}], "%s lies over another panel", p.Title)
					taken[[2]int{x, y}] = p.Title
				}
			}
			if p.Type == "row" {
				continue
			}
			require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
			require.NotEmpty(t, p.Targets, p.Title)
			for _, target := range p.Targets {
				text := grafanaVariables.ReplaceAllString(target.Expr, "5m")
				requireExpression(t, text, exposed)
				for name := range exposed {
					if strings.Contains(text, name) {
						shown[name] = true
					}
				}
			}
		}
		for name := range exposed {
			require.True(t, shown[name], "no panel shows %s", name)
		}
	}
}
