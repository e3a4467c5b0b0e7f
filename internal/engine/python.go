package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// pythonInfo is what a Python that was run says of itself.
type pythonInfo struct {
	Path    string `json:"path"`    // as it was found; symlinks are not resolved
	Version string `json:"version"` // 3.11.7
	Minor   string `json:"minor"`   // 3.11
	Venv    bool   `json:"venv"`    // whether it can make virtual environments with pip
	Machine string `json:"machine"` // x86_64, aarch64
}

const askPython = `import importlib.util as u, json, platform, sys
print(json.dumps({"path": sys.executable, "version": platform.python_version(),
"minor": "%d.%d" % sys.version_info[:2], "machine": platform.machine(),
"venv": bool(u.find_spec("venv") and u.find_spec("ensurepip"))}))`

// probePython runs the program: a name on PATH proves nothing (pyenv has shims
// for versions that are not installed).
func probePython(ctx context.Context, program string) (pythonInfo, error) {
	out, err := probe(ctx, program, "-I", "-c", askPython)
	if err != nil {
		return pythonInfo{}, err
	}
	var info pythonInfo
	if err := json.Unmarshal([]byte(lastLine(out)), &info); err != nil {
		return pythonInfo{}, fmt.Errorf("%s is not a Python: %w", program, err)
	}
	return info, nil
}

// choosePython finds the Python that the engine is made of: the one named by
// the caller, else the machine's python3, else python3.X,
// newest first. A version on which all of PySpark works is preferred (the
// table lists a version last on which some of it does not).
func (in *installation) choosePython(ctx context.Context) (pythonInfo, error) {
	in.report.say("python", "looking for Python")
	if named := in.Python; named != "" {
		info, err := probePython(ctx, named)
		if err != nil {
			return info, &Problem{Step: "python", What: fmt.Sprintf("The Python %s does not run", named),
				Advice: "Set ERGANE_PYTHON to another one, or unset it", Cause: err}
		}
		return info, in.judgePython(info)
	}
	var fits []pythonInfo
	var last error
	var seen []string
	for _, name := range in.pythonNames() {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		info, err := probePython(ctx, program)
		if err != nil {
			continue
		}
		seen = append(seen, info.Version)
		if err := in.judgePython(info); err != nil {
			last = err
			continue
		}
		fits = append(fits, info)
	}
	if len(fits) == 0 {
		if last != nil && len(seen) > 0 && slices.ContainsFunc(seen, in.versionFits) {
			return pythonInfo{}, last
		}
		found := "none was found"
		if len(seen) > 0 {
			found = "found only " + strings.Join(seen, ", ")
		}
		return pythonInfo{}, &Problem{Step: "python", What: fmt.Sprintf("PySpark %s needs Python %s; %s", in.Spec.Spark, in.pythonRange(), found),
			Advice: "Install one with its venv module, or set ERGANE_PYTHON to it"}
	}
	partly := in.Spec.PartlyOn
	slices.SortStableFunc(fits, func(a, b pythonInfo) int {
		return cmp.Compare(index(partly, a.Minor), index(partly, b.Minor))
	})
	return fits[0], nil
}

func index(list []string, s string) int {
	if slices.Contains(list, s) {
		return 1
	}
	return 0
}

func (in *installation) pythonNames() []string {
	names := []string{"python3"}
	for _, v := range slices.Backward(in.Spec.Pythons) {
		names = append(names, "python"+v)
	}
	return names
}

func (in *installation) pythonRange() string {
	return in.Spec.Pythons[0] + " to " + in.Spec.Pythons[len(in.Spec.Pythons)-1]
}

func (in *installation) versionFits(version string) bool {
	return slices.ContainsFunc(in.Spec.Pythons, func(minor string) bool { return strings.HasPrefix(version, minor+".") })
}

func (in *installation) judgePython(info pythonInfo) error {
	if !in.versionFits(info.Version) {
		return &Problem{Step: "python", What: fmt.Sprintf("PySpark %s does not run on Python %s (%s)", in.Spec.Spark, info.Version, info.Path),
			Advice: fmt.Sprintf("Set ERGANE_PYTHON to a Python %s", in.pythonRange())}
	}
	if !info.Venv {
		return &Problem{Step: "python", What: fmt.Sprintf("Python %s (%s) cannot make virtual environments", info.Version, info.Path),
			Advice: fmt.Sprintf("Install its venv module (Debian and Ubuntu: apt install python%s-venv) or set ERGANE_PYTHON to another Python", info.Minor)}
	}
	return nil
}

// makeVenv makes the virtual environment and gives it the pip of the lock
// file: older ones neither report progress nor resume an interrupted download.
func (in *installation) makeVenv(ctx context.Context, python pythonInfo) error {
	lock, err := in.lockFile("bootstrap.txt")
	if err != nil {
		return err
	}
	return in.step(ctx, "python", keyOf(python.Path, python.Version, lock.digest), func(ctx context.Context) error {
		in.report.say("python", "making a virtual environment of Python "+python.Version)
		// The steps that filled an older one go with it.
		for _, gone := range []string{"venv", "steps", manifestFile} {
			if err := os.RemoveAll(in.path(gone)); err != nil {
				return explain("python", "", err)
			}
		}
		if err := os.Mkdir(in.path("steps"), 0o755); err != nil {
			return explain("python", "", err)
		}
		out, err := in.command(ctx, []string{python.Path, "-I", "-m", "venv", in.path("venv")}, in.environ(), nil)
		if err != nil {
			return explain("python", out, err)
		}
		return in.pip(ctx, "python", lock, "install", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off")
	})
}

func (in *installation) venvPython() string { return in.path("venv", "bin", "python") }

func (in *installation) sitePackages() string {
	return in.path("venv", "lib", "python"+in.made.Python.Minor, "site-packages")
}

// compile makes the byte code of everything installed, once and on all cores, so
// that sessions need neither do it nor write to the engine's folder.
func (in *installation) compile(ctx context.Context) error {
	key := keyOf(in.made.Python.Version, in.Spec.digest)
	return in.step(ctx, "compile", key, func(ctx context.Context) error {
		in.report.say("compile", "compiling the Python packages")
		argv := []string{in.venvPython(), "-I", "-m", "compileall", "-q", "-q", "-j", "0",
			"-x", `[/\\](tests|templates|lib2to3)[/\\]`, in.sitePackages()}
		out, err := in.command(ctx, argv, in.environ(), nil)
		if _, some := errors.AsType[*exec.ExitError](err); some && ctx.Err() == nil {
			// Some packages contain files that this version of Python cannot
			// compile; no session imports those.
			in.Log.Debug("some files were not compiled", keyStep, "compile", keyError, lastLine(out))
			return nil
		}
		return explain("compile", out, err)
	})
}
