package deploycheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	deploy = "../../deploy/"
	source = "../../cmd/sluice"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

var metricName = regexp.MustCompile(`^sluice_[a-z_]+$`)

// literals are the strings in the sources of the binary that look like pattern.
func literals(t testing.TB, pattern *regexp.Regexp) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	files := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(source, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && pattern.MatchString(text) {
					found[text] = true
				}
			}
			return true
		})
		return nil
	}))
	require.NotEmpty(t, found)
	return found
}

// metrics are the names that the binary exposes.
func metrics(t testing.TB) map[string]bool { return literals(t, metricName) }

// Paths of the admin port that orchestrators and Prometheus ask.
const (
	livePath    = "/healthz"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
)

func writeFile(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }
