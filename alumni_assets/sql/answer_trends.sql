-- How do the answers change from month to month, or from batch to batch?
--
-- Within a period each alumnus counts once, with the newest answer given in it. dimension: the survey's column that
-- the groups are of, or overall; alumni: how many answered; excellent: how many of them are rated 5; mean_rating and
-- sd_rating: mean and sample standard deviation of their ratings, the same in whatever order the rows are read.
-- Most alumni have answered once, so only the answers of those who have answered more often are put in order.
--
-- Reads: survey_responses, trend_periods. Order: by dimension and group, the oldest period first.
SELECT
    kind,
    period,
    begins,
    CASE
        WHEN college_degree IS NOT NULL THEN 'college_degree'
        WHEN dmc_campus IS NOT NULL THEN 'dmc_campus'
        WHEN department IS NOT NULL THEN 'department'
        WHEN job_role IS NOT NULL THEN 'job_role'
        ELSE 'overall'
    END AS dimension,
    coalesce(college_degree, dmc_campus, department, job_role) AS group_name,
    count(*) AS alumni,
    count(CASE WHEN performance_rating = 5 THEN 1 END) AS excellent,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    CASE
        WHEN count(*) > 1 THEN sqrt(
            CAST(
                count(*) * sum(CAST(performance_rating AS bigint) * CAST(performance_rating AS bigint))
                - sum(CAST(performance_rating AS bigint)) * sum(CAST(performance_rating AS bigint)) AS double
            ) / CAST(count(*) * (count(*) - 1) AS double)
        )
    END AS sd_rating
FROM (
    SELECT
        trend_periods.kind,
        trend_periods.period,
        trend_periods.begins,
        survey_responses.college_degree,
        survey_responses.dmc_campus,
        survey_responses.department,
        survey_responses.job_role,
        survey_responses.performance_rating
    FROM survey_responses
    CROSS JOIN (SELECT max(kind) AS kind FROM trend_periods) AS chosen
    JOIN trend_periods ON trend_periods.period = CASE
        WHEN chosen.kind = 'batch' THEN survey_responses.upload
        ELSE substr(CAST(date_trunc('month', survey_responses.submission_date) AS varchar(30)), 1, 7)
    END
    WHERE NOT EXISTS (
        SELECT 1
        FROM (
            SELECT
                several.upload,
                several.source_row,
                row_number() OVER (
                    PARTITION BY
                        several.employee_id,
                        CASE
                            WHEN chosen.kind = 'batch' THEN several.upload
                            ELSE substr(CAST(date_trunc('month', several.submission_date) AS varchar(30)), 1, 7)
                        END
                    ORDER BY
                        several.submission_date DESC NULLS LAST,
                        several.received_at DESC,
                        several.upload DESC,
                        several.source_row DESC
                ) AS place
            FROM survey_responses AS several
            CROSS JOIN (SELECT max(kind) AS kind FROM trend_periods) AS chosen
            WHERE several.employee_id IN (
                SELECT employee_id
                FROM survey_responses
                GROUP BY employee_id
                HAVING count(*) > 1
            )
        ) AS placed
        WHERE placed.place > 1
            AND placed.upload = survey_responses.upload
            AND placed.source_row = survey_responses.source_row
    )
) AS answered
GROUP BY GROUPING SETS (
    (kind, period, begins),
    (kind, period, begins, college_degree),
    (kind, period, begins, dmc_campus),
    (kind, period, begins, department),
    (kind, period, begins, job_role)
)
ORDER BY dimension, group_name, begins, period
