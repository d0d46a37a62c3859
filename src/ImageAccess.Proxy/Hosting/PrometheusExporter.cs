using System.Globalization;
using System.Text;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace ImageAccess.Proxy.Hosting;

/// <summary>
/// Writes what a reader of the SDK collects in the Prometheus text exposition format, version 0.0.4, or in OpenMetrics 1.0.0, which has exemplars: of
/// each bucket of a histogram one request that was traced. Names, labels and values are the same in both.
/// </summary>
[ExportModes(ExportModes.Pull)]
internal sealed class PrometheusExporter : BaseExporter<Metric>, IPullMetricExporter
{
    /// <summary>Milliseconds that a collection may take.</summary>
    private const int CollectTimeout = 5000;

    public const string OpenMetrics = "application/openmetrics-text";

    private readonly Lock _collecting = new();
    private bool _isOpenMetrics;
    private string _text = "";

    public Func<int, bool>? Collect { get; set; }

    /// <summary>Everything measured up to now; nothing where it could not be collected in time.</summary>
    /// <param name="isOpenMetrics">In that format; else in Prometheus' own.</param>
    public string Read(bool isOpenMetrics)
    {
        lock (_collecting)
        {
            _isOpenMetrics = isOpenMetrics;
            return Collect?.Invoke(CollectTimeout) == true ? _text : "";
        }
    }

    public override ExportResult Export(in Batch<Metric> batch)
    {
        var text = new StringBuilder();
        foreach (var metric in batch)
            Write(text, metric, _isOpenMetrics);
        if (_isOpenMetrics)
            text.Append("# EOF\n");
        _text = text.ToString();
        return ExportResult.Success;
    }

    private static void Write(StringBuilder text, Metric metric, bool isOpenMetrics)
    {
        var (type, suffix) = metric.MetricType switch
        {
            MetricType.LongSum or MetricType.DoubleSum => ("counter", "_total"),
            MetricType.Histogram => ("histogram", ""),
            MetricType.LongGauge or MetricType.DoubleGauge or MetricType.LongSumNonMonotonic or MetricType.DoubleSumNonMonotonic => ("gauge", ""),
            _ => (isOpenMetrics ? "unknown" : "untyped", ""),
        };
        var family = Name(metric);
        var name = family + suffix;
        var described = isOpenMetrics ? family : name;
        text.Append("# HELP ").Append(described).Append(' ').Append(metric.Description.Replace("\\", @"\\").Replace("\n", @"\n")).Append('\n');
        text.Append("# TYPE ").Append(described).Append(' ').Append(type).Append('\n');
        foreach (ref readonly var point in metric.GetMetricPoints())
        {
            var labels = Labels(point.Tags);
            switch (metric.MetricType)
            {
                case MetricType.Histogram:
                    WriteHistogram(text, name, labels, point, isOpenMetrics);
                    break;
                case MetricType.LongSum or MetricType.LongSumNonMonotonic:
                    WriteSample(text, name, labels, point.GetSumLong());
                    break;
                case MetricType.DoubleSum or MetricType.DoubleSumNonMonotonic:
                    WriteSample(text, name, labels, point.GetSumDouble());
                    break;
                case MetricType.LongGauge:
                    WriteSample(text, name, labels, point.GetGaugeLastValueLong());
                    break;
                case MetricType.DoubleGauge:
                    WriteSample(text, name, labels, point.GetGaugeLastValueDouble());
                    break;
            }
        }
    }

    private static void WriteHistogram(StringBuilder text, string name, string labels, in MetricPoint point, bool isOpenMetrics)
    {
        var cumulative = 0L;
        var above = double.NegativeInfinity;
        ReadOnlyExemplarCollection? exemplars = isOpenMetrics && point.TryGetExemplars(out var found) ? found : null;
        foreach (var bucket in point.GetHistogramBuckets())
        {
            cumulative += bucket.BucketCount;
            var bound = double.IsPositiveInfinity(bucket.ExplicitBound) ? "+Inf" : bucket.ExplicitBound.ToString("R", CultureInfo.InvariantCulture);
            WriteSample(text, name + "_bucket", labels.Length == 0 ? $"le=\"{bound}\"" : $"{labels},le=\"{bound}\"", cumulative, ExemplarOf(exemplars, above, bucket.ExplicitBound));
            above = bucket.ExplicitBound;
        }

        WriteSample(text, name + "_sum", labels, point.GetHistogramSum());
        WriteSample(text, name + "_count", labels, point.GetHistogramCount());
    }

    /// <summary>What follows the sample of a bucket: a measurement in it, and its trace; nothing where none was traced.</summary>
    private static string ExemplarOf(ReadOnlyExemplarCollection? exemplars, double above, double upTo)
    {
        if (exemplars is not { } all)
            return "";
        foreach (ref readonly var exemplar in all)
        {
            if (exemplar.TraceId != default && exemplar.DoubleValue > above && exemplar.DoubleValue <= upTo)
                return string.Create(CultureInfo.InvariantCulture, $" # {{trace_id=\"{exemplar.TraceId}\",span_id=\"{exemplar.SpanId}\"}} {exemplar.DoubleValue:R} {exemplar.Timestamp.ToUnixTimeMilliseconds() / 1000.0:R}");
        }

        return "";
    }

    private static void WriteSample(StringBuilder text, string name, string labels, double value, string exemplar = "")
    {
        text.Append(name);
        if (labels.Length > 0)
            text.Append('{').Append(labels).Append('}');
        text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append(exemplar).Append('\n');
    }

    /// <summary>Dots become underscores; a unit that is a word is spelt out (OpenTelemetry, "Prometheus compatibility").</summary>
    private static string Name(Metric metric)
    {
        var unit = metric.Unit switch { "s" => "_seconds", "By" => "_bytes", _ => "" };
        var name = Sanitize(metric.Name);
        return name.EndsWith(unit, StringComparison.Ordinal) ? name : name + unit;
    }

    private static string Labels(ReadOnlyTagCollection tags)
    {
        var labels = new StringBuilder();
        foreach (var (name, value) in tags)
        {
            var text = Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
            labels.Append(labels.Length == 0 ? "" : ",").Append(Sanitize(name)).Append("=\"")
                .Append(text.Replace("\\", @"\\").Replace("\"", "\\\"").Replace("\n", @"\n")).Append('"');
        }

        return labels.ToString();
    }

    private static string Sanitize(string name) => string.Create(name.Length, name, static (span, from) =>
    {
        for (var i = 0; i < span.Length; i++)
            span[i] = char.IsAsciiLetterOrDigit(from[i]) ? from[i] : '_';
    });
}
