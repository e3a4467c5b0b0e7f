package host

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/kernel"
)

// Pip says whose code may install Python packages for its session.
type Pip struct {
	On         bool
	WorkGroups map[string]bool // exceptions from On, by name
}

// of is what a session of the workgroup gets; nil: it may not install packages.
// The configuration is read each time, so that a new password is used at once.
func (p Pip) of(workGroup string, log *slog.Logger) *kernel.Pip {
	on, ok := p.WorkGroups[workGroup]
	if !ok {
		on = p.On
	}
	if !on {
		return nil
	}
	config, err := pipConfig()
	if err != nil && log != nil {
		log.Warn("sessions install packages without the server's configuration of pip", "error", err)
	}
	return &kernel.Pip{Config: config, Settings: pipSettings(os.Environ())}
}

// pipConfig is the text of pip's configuration file for this process's user.
// Sessions can read the machine's file in /etc themselves.
func pipConfig() (string, error) {
	files := []string{os.Getenv("PIP_CONFIG_FILE")}
	if files[0] == "" {
		home, _ := os.UserHomeDir()
		config := cmp.Or(os.Getenv("XDG_CONFIG_HOME"), filepath.Join(home, ".config"))
		files = []string{filepath.Join(config, "pip", "pip.conf"), filepath.Join(home, ".pip", "pip.conf")}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if !errors.Is(err, fs.ErrNotExist) {
			return string(text), err
		}
	}
	return "", nil
}

// pipOptions are the options of pip that say where packages come from, and which are installed.
var pipOptions = []string{
	"index-url", "extra-index-url", "no-index", "find-links", "trusted-host", "proxy", "cert", "client-cert",
	"timeout", "default-timeout", "retries", "only-binary", "no-binary", "prefer-binary", "pre",
}

// pipSettings are the variables PIP_… of an environment as a configuration file:
// as variables of a session, passwords in them would be shown with its environment.
func pipSettings(environ []string) string {
	var lines []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		option, ok := strings.CutPrefix(name, "PIP_")
		option = strings.ReplaceAll(strings.ToLower(option), "_", "-")
		if ok && value != "" && slices.Contains(pipOptions, option) {
			lines = append(lines, option+" = "+strings.Join(strings.Fields(value), " ")+"\n")
		}
	}
	if lines == nil {
		return ""
	}
	slices.Sort(lines)
	return "[global]\n" + strings.Join(lines, "")
}
