-- Which college degree's graduates perform best?
--
-- alumni: how many hold the degree; mean_rating: their average performance rating, in full precision;
-- sd_rating: the sample standard deviation of their ratings, null for a single alumnus.
--
-- Reads: alumni. Order: best mean rating first, then by degree.
SELECT
    college_degree,
    count(*) AS alumni,
    avg(CAST(performance_rating AS double)) AS mean_rating,
    stddev_samp(CAST(performance_rating AS double)) AS sd_rating
FROM alumni
GROUP BY college_degree
ORDER BY mean_rating DESC, college_degree
