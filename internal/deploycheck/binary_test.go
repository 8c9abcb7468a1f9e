package deploycheck

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// binary is the program as the image has it: built by the line of the
// Dockerfile, from the files that Docker would be given.
var binary string

// checkedVersion is the build argument of that build.
const checkedVersion = "v0.0.0-checked"

func TestMain(m *testing.M) {
	os.Exit(withBinary(m.Run))
}

func withBinary(run func() int) (code int) {
	dir, err := os.MkdirTemp("", "deploycheck-")
	if err == nil {
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "sluice")
		err = buildAsDocker(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

var buildLine = regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*?)(?: \\)?$`)

// buildAsDocker runs the Dockerfile's go build on a copy of what its build
// context has.
func buildAsDocker(dir string) error {
	text, err := os.ReadFile(deploy + "Dockerfile")
	if err != nil {
		return err
	}
	found := buildLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("no line of the Dockerfile matches %s", buildLine)
	}
	context := filepath.Join(dir, "src")
	if err := copyContext(context); err != nil {
		return err
	}
	build := exec.Command("sh", "-c", strings.Replace(string(found[1]), "/out/sluice", binary, 1))
	build.Dir = context
	build.Env = append(os.Environ(), "VERSION="+checkedVersion, "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", found[1], err, out)
	}
	return nil
}

// copyContext copies the repository without what the Dockerfile's ignore file
// names, each of which is a path from the root.
func copyContext(to string) error {
	text, err := os.ReadFile(deploy + "Dockerfile.dockerignore")
	if err != nil {
		return err
	}
	ignored := strings.Fields(string(text))
	root := os.DirFS("../..")
	return fs.WalkDir(root, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case slices.Contains(ignored, path) && entry.IsDir():
			return fs.SkipDir
		case slices.Contains(ignored, path) || !entry.IsDir() && !entry.Type().IsRegular():
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		}
		data, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), data, 0o644)
	})
}

// setting is what the binary says of one.
type setting struct{ Name, Default string }

// settings are the variables that the binary knows, by name.
func settings(t testing.TB) map[string]setting {
	t.Helper()
	config := exec.Command(binary, "config", "--json")
	config.Env = []string{}
	out, err := config.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []setting
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	known := map[string]setting{}
	for _, s := range list {
		known[s.Name] = s
	}
	return known
}

// requireSettings checks variables that start a role.
func requireSettings(t testing.TB, names []string) {
	t.Helper()
	known := settings(t)
	for _, name := range names {
		if _, ok := known[name]; !ok {
			t.Fatalf("%s is not a setting", name)
		}
	}
}

// requireCommand checks that the binary understands a command line, without
// running it.
func requireCommand(t testing.TB, args ...string) {
	t.Helper()
	if len(args) == 0 {
		t.Fatal("no command")
	}
	out, err := exec.Command(binary, append(slices.Clone(args), "--help")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sluice "+args[0]) {
		t.Fatalf("sluice %v: %v\n%s", args, err, out)
	}
}
