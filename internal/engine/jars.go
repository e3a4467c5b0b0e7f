package engine

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// A jar is one that Spark needs in addition to its own, for s3:// and s3a://
// addresses. The list is complete: nothing is resolved transitively, and it has
// nothing that PySpark ships (the bundle of the AWS SDK alone would be 268 MB).
type jar struct {
	Organisation string `json:"organisation"`
	Name         string `json:"name"`
	Revision     string `json:"revision"`
	Bytes        int64  `json:"bytes"`
	SHA256       string `json:"sha256"`
}

func (j jar) file() string { return j.Name + "-" + j.Revision + ".jar" }

// lockedJars reads the lock and returns it with its digest.
func lockedJars(spec Spec) ([]jar, string, error) {
	raw, err := fs.ReadFile(spec.locks, "jars.json")
	if err != nil {
		return nil, "", fmt.Errorf("read lock file: %w", err)
	}
	var jars []jar
	if err := json.Unmarshal(raw, &jars); err != nil {
		return nil, "", fmt.Errorf("read lock file jars.json: %w", err)
	}
	return jars, keyOf(string(raw)), nil
}

// ivySettings name no repository unless the user does, in the variable that
// spark-submit --packages reads as well: Ivy has a default. POMs are not read,
// because the list of jars is complete.
var ivySettings = template.Must(template.New("settings").Funcs(template.FuncMap{"xml": escapeXML}).Parse(`<ivysettings>
  <settings defaultResolver="jars"/>
  <resolvers>
    <ibiblio name="jars" m2compatible="true" usepoms="false" useMavenMetadata="false"{{with .}} root="{{xml .}}"{{end}}/>
  </resolvers>
</ivysettings>
`))

var ivyModule = template.Must(template.New("module").Funcs(template.FuncMap{"xml": escapeXML}).Parse(`<ivy-module version="2.0">
  <info organisation="ergane" module="engine"/>
  <dependencies>{{range .}}
    <dependency org="{{xml .Organisation}}" name="{{xml .Name}}" rev="{{xml .Revision}}" transitive="false">
      <artifact name="{{xml .Name}}" type="jar" ext="jar"/>
    </dependency>{{end}}
  </dependencies>
</ivy-module>
`))

func escapeXML(s string) (string, error) {
	var b strings.Builder
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// installJars fetches the jars by the Ivy that PySpark ships and checks each
// against the lock.
func (in *installation) installJars(ctx context.Context) error {
	jars, key, err := lockedJars(in.Spec)
	if err != nil {
		return err
	}
	return in.step(ctx, "jars", key, func(ctx context.Context) error {
		in.report.say("jars", fmt.Sprintf("downloading %d jars for S3", len(jars)))
		work := in.path("tmp", "ivy")
		fetched, err := in.fetchJars(ctx, "jars", work, jars)
		if err != nil {
			return err
		}
		err = errors.Join(os.RemoveAll(in.path("jars")), os.Rename(fetched, in.path("jars")), os.RemoveAll(work))
		return explain("jars", "", err)
	})
}

// fetchJars downloads jars into a folder below work, which it empties first, and checks each against the lock.
func (in *installation) fetchJars(ctx context.Context, step, work string, jars []jar) (fetched string, err error) {
	fetched = filepath.Join(work, "jars")
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(fetched, 0o755)); err != nil {
		return "", explain(step, "", err)
	}
	if err := in.runIvy(ctx, step, work, fetched, jars); err != nil {
		return "", err
	}
	for _, j := range jars {
		sum, err := sha256Of(filepath.Join(fetched, j.file()))
		if err != nil {
			return "", explain(step, "incomplete download", err)
		}
		if sum != j.SHA256 {
			return "", explain(step, "hash mismatch", fmt.Errorf("%s has the SHA-256 %s instead of %s", j.file(), sum, j.SHA256))
		}
	}
	return fetched, nil
}

func (in *installation) runIvy(ctx context.Context, step, work, into string, jars []jar) error {
	settings, module := filepath.Join(work, "settings.xml"), filepath.Join(work, "ivy.xml")
	var s, m strings.Builder
	err := errors.Join(ivySettings.Execute(&s, os.Getenv("DEFAULT_ARTIFACT_REPOSITORY")), ivyModule.Execute(&m, jars),
		writeFile(settings, []byte(s.String())), writeFile(module, []byte(m.String())))
	if err != nil {
		return explain(step, "", err)
	}
	ivy, err := filepath.Glob(filepath.Join(in.sitePackages(), "pyspark", "jars", "ivy-*.jar"))
	if err != nil || len(ivy) == 0 {
		return explain(step, "", errors.Join(errors.New("PySpark contains no Ivy"), err))
	}
	trust, err := in.trustOptions()
	if err != nil {
		return explain(step, "", err)
	}
	argv := append([]string{in.made.Java.Path, "-XX:TieredStopAtLevel=1", "-Duser.home=" + work, "-Divy.checksums="}, trust...)
	argv = append(argv, proxyOptions(os.Getenv)...)
	argv = append(argv, "-jar", ivy[0], "-settings", settings, "-ivy", module, "-cache", filepath.Join(work, "cache"),
		"-retrieve", filepath.Join(into, "[artifact]-[revision].[ext]"), "-verbose")
	out, err := in.command(ctx, argv, in.environ(), nil)
	return explain(step, out, err)
}

// proxyOptions are the JVM options for the proxy that other programs read from the environment.
func proxyOptions(getenv func(string) string) []string {
	var options []string
	for _, scheme := range []string{"http", "https"} {
		value := getenv(scheme + "_proxy")
		if value == "" {
			value = getenv(strings.ToUpper(scheme) + "_PROXY")
		}
		proxy, err := url.Parse(value)
		if err != nil || proxy.Hostname() == "" {
			continue
		}
		options = append(options, "-D"+scheme+".proxyHost="+proxy.Hostname())
		if port := proxy.Port(); port != "" {
			options = append(options, "-D"+scheme+".proxyPort="+port)
		}
	}
	return options
}
