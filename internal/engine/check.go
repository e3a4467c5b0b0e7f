package engine

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Finding is the result of one check of ergane doctor.
type Finding struct {
	Name   string `json:"name"` // a word: python, packages, pyspark, jars, java, archive, kernel, formats
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`           // what is there
	Advice string `json:"advice,omitempty"` // what to do; set if something could be better
}

const adviceSetup = "run ergane setup"

// Check checks every part of the engine; programs are run if that is quick. The
// order of the findings is fixed.
func (e *Engine) Check(ctx context.Context) []Finding {
	return []Finding{e.checkPython(ctx), e.checkPackages(ctx), e.checkPySpark(), e.checkJava(ctx), e.checkArchive(), e.checkKernel(), e.checkFormats()}
}

func (e *Engine) checkPython(ctx context.Context) Finding {
	f := Finding{Name: "python"}
	info, err := probePython(ctx, e.python())
	switch {
	case err != nil:
		f.Detail, f.Advice = "the engine's Python does not run: "+err.Error(), adviceSetup
	case info.Version != e.made.Python.Version:
		f.OK, f.Detail = true, fmt.Sprintf("Python %s; the engine was made with %s", info.Version, e.made.Python.Version)
	default:
		f.OK, f.Detail = true, "Python "+info.Version+" ("+e.made.Python.Path+")"
	}
	if f.OK && slices.Contains(e.spec.PartlyOn, info.Minor) {
		f.Advice = fmt.Sprintf("pyspark.pandas and parts of pyspark.mllib do not work on Python %s: for them, install the engine into another --engine-dir with ERGANE_PYTHON set to an older one", info.Minor)
	}
	return f
}

func (e *Engine) checkPackages(ctx context.Context) Finding {
	f := Finding{Name: "packages"}
	const ask = "import IPython, matplotlib, numpy, pandas, pyarrow, py4j, pyspark\n" +
		"print('IPython', IPython.__version__ + ', numpy', numpy.__version__ + ', pandas', pandas.__version__ + ', pyarrow', pyarrow.__version__)"
	out, err := probe(ctx, e.python(), "-I", "-c", ask)
	if err != nil {
		f.Detail, f.Advice = "a package cannot be imported: "+err.Error(), adviceRemove(e)
		return f
	}
	f.OK, f.Detail = true, lastLine(out)
	return f
}

// adviceRemove is for parts that are missing although the setup's markers say
// that they were installed.
func adviceRemove(e *Engine) string { return "remove " + e.dir + " and " + adviceSetup }

func (e *Engine) checkPySpark() Finding {
	f := Finding{Name: "pyspark"}
	locked, _, err := lockedJars(e.spec)
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	for _, j := range locked {
		if st, err := os.Stat(e.path("jars", j.file())); err != nil || st.Size() != j.Bytes {
			f.Detail, f.Advice = j.file()+" is missing or damaged", adviceRemove(e)
			return f
		}
	}
	spark := len(e.jars) - len(locked)
	if !slices.ContainsFunc(e.jars, func(path string) bool {
		return strings.HasPrefix(filepath.Base(path), "spark-core_") && strings.HasSuffix(path, "-"+e.spec.Spark+".jar")
	}) {
		f.Detail, f.Advice = "Spark's jars are missing", adviceRemove(e)
		return f
	}
	f.OK, f.Detail = true, fmt.Sprintf("PySpark %s, %d jars; %d jars for S3", e.spec.Spark, spark, len(locked))
	return f
}

func (e *Engine) checkJava(ctx context.Context) Finding {
	f := Finding{Name: "java"}
	info, err := probeJava(ctx, e.made.Java.Path)
	if err != nil {
		f.Detail, f.Advice = "the engine's Java does not run: "+err.Error(), adviceSetup
		return f
	}
	f.OK, f.Detail = true, "Java "+info.Version+" ("+info.Path+")"
	if info.VM != e.made.Java.VM {
		f.Detail += "; it was updated, so sessions start without the class data archive"
		f.Advice = adviceSetup
	}
	return f
}

func (e *Engine) checkArchive() Finding {
	f := Finding{Name: "archive", OK: true}
	a := e.made.Archive
	switch {
	case a.Failed != "":
		f.OK, f.Detail, f.Advice = false, "could not be made, so sessions start slower: "+a.Failed, adviceSetup
	case len(a.Files) == 0:
		f.Detail = "none was made; sessions start slower"
	case a.Key != e.archiveKey():
		f.OK, f.Detail, f.Advice = false, "does not match the Java and class path; sessions start slower", adviceSetup
	default:
		f.Detail = fmt.Sprintf("%d MB", a.Bytes/1e6)
	}
	return f
}

func (e *Engine) checkKernel() Finding {
	f := Finding{Name: "kernel", OK: true, Detail: e.made.Kernel}
	if e.made.Kernel == "" || !exists(e.path(e.made.Kernel)) {
		f.OK, f.Detail, f.Advice = false, "the kernel's source is missing", adviceSetup
	}
	return f
}

func (e *Engine) checkFormats() Finding {
	known, installed := e.Formats()
	f := Finding{Name: "formats", OK: true, Detail: "installed: " + cmp.Or(strings.Join(installed, ", "), "none")}
	missing := slices.DeleteFunc(known, func(name string) bool { return slices.Contains(installed, name) })
	if len(missing) > 0 {
		f.Detail += "; installed on first use: " + strings.Join(missing, ", ")
	}
	return f
}
